// A tiny world for tests of the training step: tables, signals, training rows with their LLM pairs, and a
// gate. The reference, the golden and the CPU/CUDA parity tests all run on one.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/exec/memory.h"
#include "kernels/gate_step.h"
#include "kernels/gates/parts.h"
#include "kernels/mf_args.h"

namespace sllmr {

/// Numbers for tests; the same on every machine, which the standard distributions are not.
class TestNumbers {
 public:
  explicit TestNumbers(std::uint64_t seed) : engine_(seed) {}
  /// Uniform in [low, high).
  float in(float low, float high) {
    return low + (high - low) * static_cast<float>(static_cast<double>(engine_() >> 11) * 0x1p-53);
  }
  /// Uniform in {low, ..., high}.
  Id id(Id low, Id high) {
    return low + static_cast<Id>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  std::vector<float> many(std::size_t n, float low, float high) {
    std::vector<float> out(n);
    for (float& x : out) x = in(low, high);
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

/// A table on the host, with optimiser state as if training were under way: no first steps, which only look
/// at signs.
struct HostTable {
  std::vector<float> weights, first, second;  // [rows x width]
  std::vector<std::int32_t> steps;            // [rows]

  bool operator==(const HostTable&) const = default;
};

/// The gate's parameters, its Adam state and its running means on the host.
struct HostGate {
  std::vector<float> theta, first, second;  // [n_params]
  std::vector<float> running;               // {mean alpha, mean alpha * hinge}

  bool operator==(const HostGate&) const = default;
};

/// What training changes.
struct HostState {
  HostTable users, items;
  HostGate gate;

  bool operator==(const HostState&) const = default;
};

struct WorldShape {
  int width = 32;
  Id users = 5, items = 9;  // real ones; few, so that rows share them
  std::int64_t rows = 24;
  double pair_rate = 0.75, probe_rate = 0.5;
  int rule = 0, objective = 0, penalty = 0;
  bool least_side = false;
  float draw_power = 1;
  bool item_bias = false;
  std::uint64_t seed = 1;
  bool apart = false;  // each row has a user and items of its own, so that the order of rows does not matter

  static constexpr Id items_a_row = 6;  // of a world whose rows are apart

  /// Another penalty, way to take the sides together and mean of draws for each k, and item biases or none.
  void vary(int k) {
    penalty = k % static_cast<int>(gate_penalties().size());
    least_side = k % 2 != 0;
    item_bias = k / 2 % 2 != 0;
    draw_power = k % 4 == 0 ? 1.0F : 0.5F * static_cast<float>(k % 4);
  }

  /// `rows` that share nothing.
  static WorldShape of_rows_apart(std::int64_t rows) {
    WorldShape shape;
    shape.rows = rows;
    shape.users = static_cast<Id>(rows);
    shape.items = static_cast<Id>(rows) * items_a_row;
    shape.apart = true;
    return shape;
  }
};

struct World {
  WorldShape shape;
  HostState state;
  std::vector<UserSignals> user_signals;
  std::vector<ItemSignals> item_signals;
  std::vector<Triple> triples;
  Share pair_rate;
  std::vector<RowPairs> pairs;  // of the selected rows
  GateArgs gate;                // without pointers
  OptimizerArgs optimizer{0.02F, 0.01F};
  float gate_rate = 0.02F;
};

/// Signals of a user or an item, however many there are: the first one (cold, tail), and next() for each of
/// the others.
template <class Signals, class Next>
Signals make_signals(float first, const Next& next) {
  std::array<float, sizeof(Signals) / sizeof(float)> values{first};
  for (std::size_t k = 1; k < values.size(); ++k) values[k] = next();
  return std::bit_cast<Signals>(values);
}

inline HostTable make_table(TestNumbers& numbers, Id rows, int width) {
  const auto cells = static_cast<std::size_t>(rows) * static_cast<std::size_t>(width);
  const float scale = 2.0F / std::sqrt(static_cast<float>(width));  // logits of order 1
  HostTable table{numbers.many(cells, -scale, scale),
                  numbers.many(cells, 0.01F, 0.1F),
                  numbers.many(cells, 0.001F, 0.01F),
                  {}};
  for (Id row = 0; row < rows; ++row) table.steps.push_back(numbers.id(1, 40));
  for (auto* cell : {&table.weights, &table.first, &table.second}) {
    std::fill_n(cell->begin(), width, 0.0F);  // padding
  }
  return table;
}

/// Makes the last number of each row but the padding 1, as a user's is where items have biases.
inline void set_last(HostTable& table, int width) {
  const auto step = static_cast<std::size_t>(width);
  for (std::size_t last = 2 * step - 1; last < table.weights.size(); last += step) {
    table.weights[last] = 1;
    table.first[last] = table.second[last] = 0;
  }
}

/// Two different items of first, ..., first + items - 1.
inline std::pair<Id, Id> two_items(TestNumbers& numbers, Id first, Id items) {
  const Id a = numbers.id(0, items - 1);
  return {first + a, first + (a + numbers.id(1, items - 1)) % items};
}

inline LlmPair make_pair_of(TestNumbers& numbers, Id first, Id items, bool probe) {
  const auto [a, b] = two_items(numbers, first, items);
  const float agreement = probe ? static_cast<float>(numbers.id(-1, 1)) : 1.0F;
  const float score = agreement == 0 ? 0.5F : numbers.in(0.01F, 1.0F);
  return {a, b, agreement < 0 ? 0.0F : score, agreement > 0 ? 0.0F : score};
}

/// Some rows' pairs overlap with the row's own items.
inline void overlap(LlmPair& pair, const Triple& triple, Id how) {
  if (how == 1 && pair.b != triple.positive) pair.a = triple.positive;
  if (how == 2 && pair.a != triple.negative) pair.b = triple.negative;
  if (how == 3) std::tie(pair.a, pair.b) = std::pair(triple.positive, triple.negative);
  if (how == 4) std::tie(pair.a, pair.b) = std::pair(triple.negative, triple.positive);
}

inline World make_world(const WorldShape& shape) {
  TestNumbers numbers(shape.seed);
  World world;
  world.shape = shape;
  world.state.users = make_table(numbers, shape.users + 1, shape.width);
  world.state.items = make_table(numbers, shape.items + 1, shape.width);
  if (shape.item_bias) set_last(world.state.users, shape.width);
  for (Id user = 0; user <= shape.users; ++user) {
    world.user_signals.push_back(
        make_signals<UserSignals>(static_cast<float>(user % 2), [&] { return numbers.in(0, 1); }));
  }
  for (Id item = 0; item <= shape.items; ++item) {
    world.item_signals.push_back(
        make_signals<ItemSignals>(static_cast<float>(item % 3 == 0), [&] { return numbers.in(0, 1); }));
  }

  world.pair_rate = Share::of(shape.pair_rate);
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    // The row draws from these items.
    const Id first = shape.apart ? 1 + WorldShape::items_a_row * static_cast<Id>(row) : 1;
    const Id items = shape.apart ? WorldShape::items_a_row : shape.items;
    const auto [positive, negative] = two_items(numbers, first, items);
    const Triple triple{shape.apart ? static_cast<Id>(row) + 1 : numbers.id(1, shape.users), positive,
                        negative};
    world.triples.push_back(triple);
    if (!world.pair_rate.selects(static_cast<std::uint64_t>(row))) continue;
    RowPairs pairs{};
    if (numbers.in(0, 1) < 0.9F) {
      pairs.guide = make_pair_of(numbers, first, items, false);
      overlap(pairs.guide, triple, numbers.id(0, 7));
    }
    if (numbers.in(0, 1) < static_cast<float>(shape.probe_rate)) {
      pairs.probe = make_pair_of(numbers, first, items, true);
    }
    world.pairs.push_back(pairs);
  }

  const GatePart& rule = gate_rules()[static_cast<std::size_t>(shape.rule)];
  const GatePart& objective = gate_objectives()[static_cast<std::size_t>(shape.objective)];
  const auto n_params = static_cast<std::size_t>(rule.n_params);
  world.state.gate = {numbers.many(n_params, -1, 1),
                      numbers.many(n_params, -0.1F, 0.1F),
                      numbers.many(n_params, 0.001F, 0.01F),
                      {0.4F, 0.15F}};
  GateArgs& gate = world.gate;
  gate.rule = rule.id;
  gate.objective = objective.id;
  gate.penalty = shape.penalty;
  gate.least_side = shape.least_side;
  gate.draw_power = shape.draw_power;
  gate.uses_probes = objective.uses_probes;
  gate.holds_out = objective.is_probability;
  gate.noise = {0.5, shape.seed % 2 == 0, shape.seed % 3 == 0};
  gate.uses_cosine = objective.uses_cosine;
  gate.uncertainty = shape.seed % 2 == 0 ? Uncertainty::entropy : Uncertainty::confidence;
  gate.lambda = 0.5F;
  gate.margin = 0.4F;
  gate.price = 0.1F;
  gate.budget_weight = 0.7F;
  gate.budget_target = 0.3F;
  gate.seed = 11;
  return world;
}

/// A world's arrays on a device, and the arguments that kernels take.
class DeviceWorld {
 public:
  DeviceWorld(const Context& context, const World& world, int n_slots)
      : world_(world),
        users_(context, world.state.users),
        items_(context, world.state.items),
        triples_(context, world.triples),
        pairs_(context, world.pairs),
        user_signals_(context, world.user_signals),
        item_signals_(context, world.item_signals),
        theta_(context, world.state.gate.theta),
        theta_first_(context, world.state.gate.first),
        theta_second_(context, world.state.gate.second),
        running_(context, world.state.gate.running),
        slots_(context, static_cast<std::size_t>(n_slots) * GateColumns::stride),
        scratch_(context, GateColumns::used),
        totals_(context, GateColumns::used),
        n_slots_(n_slots) {}

  /// Rows first_row .. first_row + rows - 1, with their pairs.
  MfArgs args(std::int64_t first_row, std::int64_t rows) {
    MfArgs args;
    args.users = users_.view();
    args.users.last_is_one = world_.shape.item_bias;
    args.items = items_.view();
    args.triples = triples_.data() + first_row;
    args.rows = rows;
    args.first_row = first_row;
    args.optimizer = world_.optimizer;
    args.pairs = pairs_.data() + world_.pair_rate.count_before(static_cast<std::uint64_t>(first_row));
    args.pair_rate = world_.pair_rate;
    args.gate = world_.gate;
    args.gate.theta = theta_.data();
    args.gate.running = running_.data();
    args.gate.users = user_signals_.data();
    args.gate.items = item_signals_.data();
    args.gate.slots = slots_.data();
    args.gate.n_slots = n_slots_;
    return args;
  }
  GateStep gate_step(std::int32_t step) {
    return {.slots = slots_.data(),
            .n_slots = n_slots_,
            .n_params = static_cast<int>(theta_.size()),
            .holds_out = world_.gate.holds_out,
            .learning_rate = world_.gate_rate,
            .step = step,
            .theta = theta_.data(),
            .first = theta_first_.data(),
            .second = theta_second_.data(),
            .running = running_.data(),
            .totals = totals_.data(),
            .scratch = scratch_.data()};
  }

  HostState state(const Context& context) const {
    return {users_.to_host(context),
            items_.to_host(context),
            {theta_.to_host(context), theta_first_.to_host(context), theta_second_.to_host(context),
             running_.to_host(context)}};
  }
  /// Sums of the accumulators' columns over all gate steps.
  std::vector<double> totals(const Context& context) const { return totals_.to_host(context); }
  std::vector<float> slots(const Context& context) const { return slots_.to_host(context); }

 private:
  struct Table {
    Buffer<float> weights, first, second;
    Buffer<std::int32_t> steps;

    Table(const Context& context, const HostTable& host)
        : weights(context, host.weights),
          first(context, host.first),
          second(context, host.second),
          steps(context, host.steps) {}
    TableView view() { return {weights.data(), first.data(), second.data(), steps.data(), false}; }
    HostTable to_host(const Context& context) const {
      return {weights.to_host(context), first.to_host(context), second.to_host(context),
              steps.to_host(context)};
    }
  };

  World world_;
  Table users_, items_;
  Buffer<Triple> triples_;
  Buffer<RowPairs> pairs_;
  Buffer<UserSignals> user_signals_;
  Buffer<ItemSignals> item_signals_;
  Buffer<float> theta_, theta_first_, theta_second_, running_, slots_, scratch_;
  Buffer<double> totals_;
  int n_slots_;
};

}  // namespace sllmr
