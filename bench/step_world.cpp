#include "bench/step_world.h"

#include <algorithm>
#include <span>
#include <vector>

#include "kernels/exec/random.h"
#include "kernels/fused_mf_step.h"
#include "kernels/gates/parts.h"

namespace sllmr::bench {

namespace {

constexpr std::uint64_t kSeed = 1;

/// Uniform in {1, ..., rows - 1}.
Id real_id(std::uint32_t word, Id rows) {
  return 1 + static_cast<Id>(below(word, static_cast<std::uint32_t>(rows - 1)));
}

/// Another item than `item`.
Id other_item(Id item, std::uint32_t word, Id rows) {
  return 1 + (item + static_cast<Id>(below(word, static_cast<std::uint32_t>(rows - 2)))) % (rows - 1);
}

const GatePart& part(const std::vector<GatePart>& parts, std::string_view name) {
  const GatePart* found = find_gate_part(parts, name);
  require(found != nullptr, "no gate rule, objective or penalty is called " + std::string(name));
  return *found;
}

}  // namespace

StepWorld::Table StepWorld::make_table(const Context& context, const StepShape& shape, Id rows) {
  // Gigabytes of random numbers would take longer than the measurement: a stretch of them, repeated.
  constexpr std::size_t kStretch = 1 << 18;
  const auto size = static_cast<std::size_t>(rows) * static_cast<std::size_t>(shape.width);
  std::vector<float> values(size);
  for (std::size_t k = 0; k < std::min(size, kStretch); ++k) {
    values[k] = 0.2F * uniform(philox(kSeed, 0, k, Purpose::init_user).word[0]) - 0.1F;
  }
  for (std::size_t k = kStretch; k < size; ++k) values[k] = values[k - kStretch];
  Table table;
  table.weights = Buffer<float>(context, std::span<const float>(values));
  const OptimizerInfo& info = info_of(shape.optimizer);
  if (info.moments > 0) table.first = Buffer<float>(context, size);
  if (info.moments > 1) table.second = Buffer<float>(context, size);
  if (info.counts_steps) table.steps = Buffer<std::int32_t>(context, static_cast<std::size_t>(rows));
  return table;
}

TableView StepWorld::view(Table& table) {
  return {table.weights.data(), table.first.data(), table.second.data(), table.steps.data()};
}

StepWorld::StepWorld(const Context& context, const StepShape& shape)
    : shape_(shape),
      users_(make_table(context, shape, shape.user_rows)),
      items_(make_table(context, shape, shape.item_rows)) {
  std::vector<Triple> triples;
  std::vector<RowPairs> pairs;
  for (std::int64_t row = 0; row < shape.triples; ++row) {
    const auto counter = static_cast<std::uint64_t>(row);
    const Draw triple = philox(kSeed, 0, counter, Purpose::negative);
    const Draw guide = philox(kSeed, 0, counter, Purpose::pair_choice);
    const Draw probe = philox(kSeed, 0, counter, Purpose::probe);
    const Id positive = real_id(triple.word[1], shape.item_rows), a = real_id(guide.word[0], shape.item_rows),
             p = real_id(probe.word[0], shape.item_rows);
    triples.push_back({real_id(triple.word[0], shape.user_rows), positive,
                       other_item(positive, triple.word[2], shape.item_rows)});
    RowPairs both{{a, other_item(a, guide.word[1], shape.item_rows), uniform(guide.word[2]), 0.0F}, {}};
    if (Share::of(probe_rate).selects(counter)) {
      both.probe = {p, other_item(p, probe.word[1], shape.item_rows), uniform(probe.word[2]), 0.0F};
    }
    pairs.push_back(both);
  }
  triples_ = Buffer<Triple>(context, std::span<const Triple>(triples));
  pairs_ = Buffer<RowPairs>(context, std::span<const RowPairs>(pairs));

  const GatePart& objective = part(gate_objectives(), shape.objective);
  const GatePart& rule = part(gate_rules(), objective.rule);
  const std::vector<float> theta = initial_gate_params(rule.id, kSeed);
  const int slots = context.device() == Device::cpu ? context.threads() : 256;
  user_signals_ = Buffer<UserSignals>(context, static_cast<std::size_t>(shape.user_rows));
  item_signals_ = Buffer<ItemSignals>(context, static_cast<std::size_t>(shape.item_rows));
  theta_ = Buffer<float>(context, std::span<const float>(theta));
  running_ = Buffer<float>(context, 2);
  slots_ = Buffer<float>(context, static_cast<std::size_t>(slots) * GateColumns::stride);

  args_.users = view(users_);
  args_.items = view(items_);
  args_.triples = triples_.data();
  args_.rows = shape.triples;
  args_.optimizer = {1e-5F, 0.01F};
  GateArgs& gate = args_.gate;
  gate.rule = rule.id;
  gate.objective = objective.id;
  gate.penalty = part(gate_penalties(), objective.penalty).id;
  gate.least_side = objective.least_side;
  gate.uses_probes = objective.uses_probes;
  gate.holds_out = objective.is_probability;
  gate.lambda = 0.5F;
  gate.margin = 1.0F;
  gate.price = 0.1F;
  gate.seed = kSeed;
  gate.theta = theta_.data();
  gate.running = running_.data();
  gate.users = user_signals_.data();
  gate.items = item_signals_.data();
  gate.slots = slots_.data();
  gate.n_slots = slots;
}

void StepWorld::pass(const Context& context, double pair_rate) const {
  MfArgs args = args_;
  if (pair_rate > 0) {
    args.pairs = pairs_.data();
    args.pair_rate = Share::of(pair_rate);
  }
  const std::int64_t rows = std::int64_t{shape_.user_rows} + shape_.item_rows;
  run(context, FusedMfStep{.width = shape_.width,
                           .optimizer = shape_.optimizer,
                           .mf = args,
                           .beyond_cache = outgrow_cache(rows, shape_.width, shape_.optimizer)});
}

double StepWorld::floor_bytes(double pair_rate) const {
  const double row = 4.0 * shape_.width;
  const OptimizerInfo& info = info_of(shape_.optimizer);
  const double arrays = 1 + info.moments;
  const double counter =
      info.counts_steps ? 64 : 0;  // a scattered number costs a sector of 32 bytes each way
  const double updated = 2 * arrays * row + counter;
  return 3 * updated + sizeof(Triple) + pair_rate * (2 * updated + sizeof(RowPairs) + probe_rate * 2 * row);
}

}  // namespace sllmr::bench
