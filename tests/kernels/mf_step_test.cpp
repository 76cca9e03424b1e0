// What a training step must never do, and what it must do to the last bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/fused_mf_step.h"
#include "kernels/gates/learned.h"
#include "kernels/mf_batch.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/gates.h"
#include "tests/support/optimizers.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

WorldShape shape_with(std::string_view rule, std::string_view objective) {
  WorldShape shape;
  shape.rule = rule_id(rule);
  shape.objective = objective_id(objective);
  return shape;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

template <class Values>
bool all_finite(const Values& values) {
  return std::ranges::all_of(values, [](auto x) { return std::isfinite(x); });
}

std::span<const float> row_of(const std::vector<float>& table, Id id, int width) {
  return std::span(table).subspan(static_cast<std::size_t>(id) * static_cast<std::size_t>(width),
                                  static_cast<std::size_t>(width));
}

/// A step over the whole world, either way.
class EitherStep : public testing::TestWithParam<bool> {
 protected:
  static bool fused() { return GetParam(); }

  void take(const World& world, const MfArgs& args, OptimizerKind optimizer = OptimizerKind::sgd) const {
    if (fused()) {
      // Row by row: how far rows lag behind each other in a launch depends on which of them draw pairs.
      for (std::int64_t row = 0; row < args.rows; ++row) {
        MfArgs one = args;
        one.triples += row;
        one.first_row += row;
        one.rows = 1;
        one.pairs += args.pair_rate.count_before(static_cast<std::uint64_t>(one.first_row)) -
                     args.pair_rate.count_before(static_cast<std::uint64_t>(args.first_row));
        if (args.pairs == nullptr) one.pairs = nullptr;
        run(context_, FusedMfStep{.width = world.shape.width, .optimizer = optimizer, .mf = one});
      }
    } else {
      MfBatch exact(context_, world.shape.width, world.shape.users + 1, world.shape.items + 1, args.rows,
                    optimizer);
      exact.step(context_, 1, args);
    }
  }
  HostState after(const World& world) const {
    DeviceWorld device(context_, world, static_cast<int>(world.shape.rows));
    take(world, device.args(0, world.shape.rows));
    return device.state(context_);
  }
  /// Of the fused step up to rounding: rows with and without pairs run different code.
  static void expect_same_tables(const HostState& a, const HostState& b) {
    constexpr Tolerance kRounding{1e-7, 1e-6};
    EXPECT_TRUE(all_near(a.users.weights, b.users.weights, kRounding));
    EXPECT_TRUE(all_near(a.items.weights, b.items.weights, kRounding));
    if (fused()) return;
    EXPECT_EQ(a.users, b.users);
    EXPECT_EQ(a.items, b.items);
  }
  std::vector<double> totals_after(const World& world) const {
    DeviceWorld device(context_, world, static_cast<int>(world.shape.rows));
    take(world, device.args(0, world.shape.rows));
    run(context_, device.gate_step(1));
    return device.totals(context_);
  }

  const Context context_{Device::cpu, 1};
};

INSTANTIATE_TEST_SUITE_P(Mf, EitherStep, testing::Bool(),
                         [](const auto& which) { return which.param ? "fused" : "exact"; });

TEST(FusedStep, WantsAnAccumulatorSlotAThread) {
  const Context context(Device::cpu, 2);
  WorldShape shape;
  for (const std::int64_t rows : {1, 24}) {
    shape.rows = rows;
    DeviceWorld device(context, make_world(shape), 1);
    EXPECT_THAT(error_of([&] {
                  run(context,
                      FusedMfStep{.width = 32, .optimizer = OptimizerKind::sgd, .mf = device.args(0, rows)});
                }),
                HasSubstr("fewer accumulator slots than threads"));
  }
}

TEST_P(EitherStep, RowsThatDrawNoPairTouchNoLlmMemory) {
  WorldShape shape;
  shape.pair_rate = 0;
  const World world = make_world(shape);
  DeviceWorld device(context_, world, static_cast<int>(shape.rows));
  MfArgs args = device.args(0, shape.rows);
  // Reading through any of these would crash.
  args.pairs = reinterpret_cast<const RowPairs*>(64);
  args.gate.users = nullptr;
  args.gate.items = nullptr;
  args.gate.theta = nullptr;
  args.gate.running = nullptr;
  take(world, args);
  EXPECT_TRUE(std::isfinite(device.slots(context_)[GateColumns::loss]));
}

TEST_P(EitherStep, OnlySelectedRowsReadTheirPairsAndSignals) {
  WorldShape shape = shape_with("mlp", "agreement");
  shape.rows = 6;
  shape.pair_rate = 0.4;
  World world = make_world(shape);
  const HostState expected = after(world);
  std::vector<bool> user_selected(world.user_signals.size()), item_paired(world.item_signals.size());
  std::size_t pair = 0;
  for (std::size_t row = 0; row < world.triples.size(); ++row) {
    if (!world.pair_rate.selects(row)) continue;
    const RowPairs& pairs = world.pairs[pair++];
    user_selected[static_cast<std::size_t>(world.triples[row].user)] = true;
    for (const Id item : {pairs.guide.a, pairs.guide.b, pairs.probe.a, pairs.probe.b}) {
      item_paired[static_cast<std::size_t>(item)] = true;
    }
  }
  item_paired[0] = false;
  ASSERT_GE(std::ranges::count(user_selected, false), 3);
  ASSERT_GE(std::ranges::count(item_paired, false), 3);
  for (std::size_t user = 0; user < user_selected.size(); ++user) {
    if (!user_selected[user]) world.user_signals[user] = make_signals<UserSignals>(kNan, [] { return kNan; });
  }
  for (std::size_t item = 0; item < item_paired.size(); ++item) {
    if (!item_paired[item]) world.item_signals[item] = make_signals<ItemSignals>(kNan, [] { return kNan; });
  }
  EXPECT_EQ(after(world), expected);
}

TEST_P(EitherStep, WithoutPairsIsTheBaseLossAlone) {
  World world = make_world({});
  DeviceWorld device(context_, world, static_cast<int>(world.shape.rows));
  MfArgs args = device.args(0, world.shape.rows);
  args.pairs = nullptr;
  take(world, args);
  run(context_, device.gate_step(1));
  EXPECT_EQ(device.totals(context_)[GateColumns::pairs], 0);
  EXPECT_EQ(device.totals(context_)[GateColumns::rows], static_cast<double>(world.shape.rows));

  for (RowPairs& pairs : world.pairs) pairs = {};
  expect_same_tables(device.state(context_), after(world));
}

TEST_P(EitherStep, ProbePairsNeverMoveTheModel) {
  for (const GatePart& objective : gate_objectives()) {
    World world = make_world(shape_with("learned", objective.name));
    for (RowPairs& pairs : world.pairs) pairs.guide = {};
    ASSERT_GT(totals_after(world)[GateColumns::probes], 0);
    const HostState with_probes = after(world);
    for (RowPairs& pairs : world.pairs) pairs = {};
    const HostState without = after(world);
    expect_same_tables(with_probes, without);
  }
}

TEST_P(EitherStep, ProbePairsTeachOnlyTheObjectiveThatUsesThem) {
  for (const GatePart& objective : gate_objectives()) {
    World world = make_world(shape_with("learned", objective.name));
    for (RowPairs& pairs : world.pairs) pairs.guide = {};
    EXPECT_EQ(totals_after(world)[GateColumns::theta] != 0, objective.uses_probes) << objective.name;
  }
}

TEST_P(EitherStep, PairsWithEnoughMarginLeaveTheirItemsAlone) {
  World world = make_world(shape_with("always", "hinge"));
  world.gate.margin = -100;
  const HostState state = after(world);
  for (RowPairs& pairs : world.pairs) pairs = {};
  expect_same_tables(state, after(world));
}

TEST_P(EitherStep, ANanThatOnlyAPairReadsReachesItsUser) {
  WorldShape shape = WorldShape::of_rows_apart(1);
  shape.rule = rule_id("always");
  shape.objective = objective_id("hinge");
  shape.pair_rate = 1;
  World world = make_world(shape);
  Triple& triple = world.triples[0];
  std::tie(triple.positive, triple.negative) = std::pair(1, 2);
  world.pairs[0] = {{3, 4, 0.5F, 1.0F}, {}};
  std::fill_n(world.state.items.weights.begin() + 3 * shape.width, shape.width, kNan);
  const HostState state = after(world);
  EXPECT_TRUE(std::isnan(state.users.weights[static_cast<std::size_t>(triple.user * shape.width)]));
}

TEST_P(EitherStep, AShutGateLeavesTheModelAlone) {
  for (const GatePart& penalty : gate_penalties()) {
    SCOPED_TRACE(penalty.name);
    WorldShape shape = shape_with("always", "hinge");
    shape.penalty = penalty.id;
    ASSERT_GT(totals_after(make_world(shape))[GateColumns::active], 0);
    shape.rule = rule_id("never");
    World world = make_world(shape);
    const HostState state = after(world);
    EXPECT_EQ(totals_after(world)[GateColumns::active], 0);
    EXPECT_EQ(totals_after(world)[GateColumns::pair_weight], 0);
    for (RowPairs& pairs : world.pairs) pairs = {};
    expect_same_tables(state, after(world));
  }
}

TEST_P(EitherStep, RowsThatNoTripleTouchesKeepTheirBits) {
  WorldShape shape;
  shape.items = 40;
  shape.rows = 6;
  const World world = make_world(shape);
  std::vector<bool> touched(world.item_signals.size());
  for (const Triple& triple : world.triples) {
    touched[static_cast<std::size_t>(triple.positive)] = touched[static_cast<std::size_t>(triple.negative)] =
        true;
  }
  for (const RowPairs& pairs : world.pairs) {
    touched[static_cast<std::size_t>(pairs.guide.a)] = touched[static_cast<std::size_t>(pairs.guide.b)] =
        true;
  }
  for (const OptimizerKind optimizer : fused_optimizers()) {
    DeviceWorld device(context_, world, static_cast<int>(shape.rows));
    take(world, device.args(0, shape.rows), optimizer);
    const HostState state = device.state(context_);
    for (Id item = 0; item <= shape.items; ++item) {
      if (item != 0 && touched[static_cast<std::size_t>(item)]) continue;
      EXPECT_TRUE(std::ranges::equal(row_of(state.items.weights, item, shape.width),
                                     row_of(world.state.items.weights, item, shape.width)))
          << item;
    }
  }
}

TEST_P(EitherStep, ANanWeightReachesTheLoss) {
  World world = make_world({});
  const auto at =
      static_cast<std::size_t>(world.triples[3].negative) * static_cast<std::size_t>(world.shape.width);
  world.state.items.weights[at + 5] = kNan;
  EXPECT_TRUE(std::isnan(totals_after(world)[GateColumns::loss]));
}

TEST_P(EitherStep, ANanInAPairsItemReachesTheHinge) {
  for (const auto objective : {"hinge", "agreement"}) {
    World world = make_world(shape_with("always", objective));
    world.triples.resize(1);
    world.triples[0] = {1, 1, 2};
    world.pair_rate = Share::of(1);
    world.pairs = {{{3, 4, 0.5F, 1}, {}}};
    world.shape.rows = 1;
    world.state.items.weights[3 * static_cast<std::size_t>(world.shape.width)] = kNan;
    EXPECT_TRUE(std::isnan(totals_after(world)[GateColumns::pair_hinge])) << objective;
  }
}

TEST_P(EitherStep, ExtremeLogitsGiveFiniteLossesAndGradients) {
  for (const float scale : {30.0F, -30.0F}) {
    World world = make_world({});
    for (float& x : world.state.users.weights) x = 10.0F;
    for (std::size_t k = 0; k < world.state.items.weights.size(); ++k) {
      const std::size_t item = k / static_cast<std::size_t>(world.shape.width);
      world.state.items.weights[k] = item % 2 == 0 ? scale : -scale;
    }
    const HostState state = after(world);
    EXPECT_TRUE(all_finite(totals_after(world)));
    EXPECT_TRUE(all_finite(state.items.weights));
    EXPECT_TRUE(all_finite(state.users.weights));
  }
}

TEST(FusedStep, AllRowsInOneLaunchAreOneRowALaunchOnOneThread) {
  const Context context(Device::cpu, 1);
  WorldShape shape;
  shape.pair_rate = 0;
  const World world = make_world(shape);
  DeviceWorld together(context, world, 2), apart(context, world, 2);
  run(context,
      FusedMfStep{
          .width = 32, .optimizer = OptimizerKind::adagrad, .mf = together.args(0, world.shape.rows)});
  for (std::int64_t row = 0; row < world.shape.rows; ++row) {
    run(context, FusedMfStep{.width = 32, .optimizer = OptimizerKind::adagrad, .mf = apart.args(row, 1)});
  }
  EXPECT_EQ(together.state(context), apart.state(context));
  EXPECT_TRUE(same_bits(together.slots(context), apart.slots(context)));
}

/// Many rows under way share each user.
void expect_ones_to_stay(const Context& context) {
  for (const OptimizerKind optimizer : fused_optimizers()) {
    for (const double pair_rate : {0.0, 0.5}) {
      WorldShape shape;
      shape.rows = 4096;
      shape.item_bias = true;
      shape.pair_rate = pair_rate;
      const World world = make_world(shape);
      DeviceWorld device(context, world, 256);
      run(context,
          FusedMfStep{.width = shape.width, .optimizer = optimizer, .mf = device.args(0, shape.rows)});
      const HostTable users = device.state(context).users;
      for (std::size_t last = 2 * 32 - 1; last < users.weights.size(); last += 32) {
        EXPECT_EQ(users.weights[last], 1);
        EXPECT_EQ(users.first[last], 0);
        EXPECT_EQ(users.second[last], 0);
        EXPECT_NE(users.weights[last - 1], world.state.users.weights[last - 1]);
      }
    }
  }
}

TEST(FusedStep, WhatStandsForABiasStaysOne) {
  expect_ones_to_stay(Context(Device::cpu, 1));
  expect_ones_to_stay(Context(Device::cpu, 2));
}

TEST(FusedStepCuda, WhatStandsForABiasStaysOne) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_ones_to_stay(Context(Device::cuda));
}

TEST(FusedStep, RowsWithPairsLagBehindByNoMoreThanTheirLaunch) {
  // Several groups of waiting rows. What a row misses of the others is of second order in the learning rate.
  constexpr float kRate = 1e-3F;
  const Context context(Device::cpu, 1);
  WorldShape shape = shape_with("learned", "agreement");
  shape.rows = 300;
  shape.pair_rate = 0.4;
  const World world = make_world(shape);
  DeviceWorld together(context, world, 2), apart(context, world, 2);
  const std::vector<float> before = together.state(context).items.weights;
  MfArgs args = together.args(0, shape.rows);
  args.optimizer.learning_rate = kRate;
  run(context, FusedMfStep{.width = shape.width, .optimizer = OptimizerKind::sgd, .mf = args});
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    args = apart.args(row, 1);
    args.optimizer.learning_rate = kRate;
    run(context, FusedMfStep{.width = shape.width, .optimizer = OptimizerKind::sgd, .mf = args});
  }
  const std::vector<float> items = together.state(context).items.weights,
                           one_by_one = apart.state(context).items.weights;
  float moved = 0, apart_by = 0;
  for (std::size_t k = 0; k < items.size(); ++k) {
    moved = std::max(moved, std::fabs(items[k] - before[k]));
    apart_by = std::max(apart_by, std::fabs(items[k] - one_by_one[k]));
  }
  EXPECT_GT(moved, 5 * kRate * 0.1F);
  EXPECT_LT(apart_by, 0.02F * moved);
  const std::vector<float> sums = together.slots(context), sums_apart = apart.slots(context);
  for (const int column : {GateColumns::rows, GateColumns::pairs, GateColumns::probes}) {
    EXPECT_GT(sums[static_cast<std::size_t>(column)], 0) << column;
    EXPECT_EQ(sums[static_cast<std::size_t>(column)], sums_apart[static_cast<std::size_t>(column)]) << column;
  }
}

TEST(FusedStep, GroupsOfRowsAddUpWhatRowsDo) {
  // With a learning rate of 0 no row sees another: the sums differ by rounding alone.
  const Context context(Device::cpu, 1);
  for (const GatePart& rule : gate_rules()) {
    for (const GatePart& objective : gate_objectives()) {
      SCOPED_TRACE(std::string(rule.name) + " with " + std::string(objective.name));
      WorldShape shape = shape_with(std::string(rule.name), std::string(objective.name));
      shape.rows = 300;
      shape.pair_rate = 0.4;
      const World world = make_world(shape);
      DeviceWorld together(context, world, 2), apart(context, world, 2);
      MfArgs args = together.args(0, shape.rows);
      args.optimizer.learning_rate = 0;
      run(context, FusedMfStep{.width = shape.width, .optimizer = OptimizerKind::sgd, .mf = args});
      for (std::int64_t row = 0; row < shape.rows; ++row) {
        args = apart.args(row, 1);
        args.optimizer.learning_rate = 0;
        run(context, FusedMfStep{.width = shape.width, .optimizer = OptimizerKind::sgd, .mf = args});
      }
      const std::vector<float> sums = together.slots(context), expected = apart.slots(context);
      ASSERT_EQ(sums.size(), expected.size());
      for (std::size_t column = 0; column < sums.size(); ++column) {
        EXPECT_TRUE(near(sums[column], expected[column], {1e-5, 1e-5})) << "column " << column;
      }
      for (std::size_t bucket = 0; bucket < 4; ++bucket) {
        const std::size_t column = GateColumns::bucket + bucket * GateColumns::bucket_columns;
        EXPECT_GT(sums[column], 0) << "the test says nothing of bucket " << bucket;
        EXPECT_EQ(sums[column], expected[column]) << bucket;
      }
    }
  }
}

TEST(ExactStep, IsBitwiseRepeatableWhateverTheThreads) {
  for (const OptimizerKind optimizer : all_optimizers()) {
    WorldShape shape = shape_with("mlp", "agreement");
    shape.rows = 192;
    const World world = make_world(shape);
    std::vector<HostState> states;
    std::vector<std::vector<double>> totals;
    for (const int threads : {1, 1, 2, 3}) {
      const Context context(Device::cpu, threads);
      DeviceWorld device(context, world, 64);
      MfBatch exact(context, shape.width, shape.users + 1, shape.items + 1, 64, optimizer);
      for (int step = 0; step < 3; ++step) {
        exact.step(context, step + 1, device.args(64 * step, 64));
        run(context, device.gate_step(step + 1));
      }
      states.push_back(device.state(context));
      totals.push_back(device.totals(context));
    }
    for (std::size_t k = 1; k < states.size(); ++k) {
      EXPECT_TRUE(same_bits(states[k].users.weights, states[0].users.weights)) << k;
      EXPECT_TRUE(same_bits(states[k].items.weights, states[0].items.weights)) << k;
      EXPECT_EQ(states[k], states[0]) << k;
      EXPECT_EQ(totals[k], totals[0]) << k;
    }
  }
}

TEST(ExactStep, OneObjectServesBatchesOfManySizes) {
  const Context context(Device::cpu, 1);
  const World world = make_world({});
  for (const OptimizerKind optimizer : all_optimizers()) {
    DeviceWorld one(context, world, 24), fresh(context, world, 24);
    MfBatch exact(context, 32, world.shape.users + 1, world.shape.items + 1, 24, optimizer);
    std::int64_t row = 0;
    std::int32_t step = 1;
    for (const std::int64_t rows : {16, 1, 7}) {
      exact.step(context, step, one.args(row, rows));
      MfBatch(context, 32, world.shape.users + 1, world.shape.items + 1, rows, optimizer)
          .step(context, step, fresh.args(row, rows));
      row += rows;
      ++step;
    }
    EXPECT_EQ(one.state(context), fresh.state(context));
  }
}

/// Adam as it starts, so that small gradients move it as far as large ones.
void forget_steps(HostGate& gate) {
  gate.first.assign(gate.first.size(), 0);
  gate.second.assign(gate.second.size(), 0);
}

TEST(GateStep, AlphaOpensExactlyWhereAgreementBeatsThePrice) {
  // One user, probes that agree with the LLM in `agreeing` of 20 rows: expected agreement 2 p - 1.
  const Context context(Device::cpu, 1);
  for (const auto& [agreeing, opens] :
       {std::pair(20, true), {13, true}, {12, true}, {10, false}, {4, false}}) {
    WorldShape shape = shape_with("learned", "agreement");
    shape.pair_rate = 1;
    World world = make_world(shape);
    world.triples.assign(20, {1, 1, 2});
    world.pairs.assign(20, {{}, {3, 4, 0.0F, 0.5F}});
    for (int row = 0; row < agreeing; ++row)
      world.pairs[static_cast<std::size_t>(row)].probe = {3, 4, 0.5F, 0.0F};
    world.optimizer = {0, 0};
    forget_steps(world.state.gate);
    DeviceWorld device(context, world, 20);
    for (int step = 1; step <= 400; ++step) {
      run(context, FusedMfStep{.width = 32, .optimizer = OptimizerKind::sgd, .mf = device.args(0, 20)});
      run(context, device.gate_step(step));
    }
    const std::vector<float> theta = device.state(context).gate.theta;
    GateSignals z{};
    z.cold = world.user_signals[1].cold;
    z.tail = world.item_signals[3].tail;
    z.uncertainty = 0.5F;
    const float alpha = gates::Learned::alpha(z, PlainTheta<float>{theta.data()});
    EXPECT_TRUE(opens ? alpha > 0.9F : alpha < 0.1F) << agreeing << " of 20 agree: alpha " << alpha;
  }
}

TEST(GateStep, ThePapersObjectiveOnlyClosesTheGate) {
  const Context context(Device::cpu, 1);
  WorldShape shape = shape_with("learned", "hinge");
  World world = make_world(shape);
  forget_steps(world.state.gate);
  world.optimizer = {0, 0};
  DeviceWorld device(context, world, 1);
  double before = 0, mean = 1;
  for (int step = 1; step <= 300; ++step) {
    run(context, FusedMfStep{.width = 32, .optimizer = OptimizerKind::sgd, .mf = device.args(0, shape.rows)});
    run(context, device.gate_step(step));
    const std::vector<double> totals = device.totals(context);
    const double now = (totals[GateColumns::pair_alpha] - before) / (totals[GateColumns::pairs] / step);
    EXPECT_LE(now, mean + 1e-6) << "step " << step;
    mean = now;
    before = totals[GateColumns::pair_alpha];
  }
  EXPECT_LT(mean, 0.1);
}

TEST(GateStep, ClearsTheSlotsAndKeepsTheMeansWithoutPairs) {
  const Context context(Device::cpu, 1);
  const World world = make_world({});
  DeviceWorld device(context, world, 4);
  MfArgs args = device.args(0, world.shape.rows);
  args.pairs = nullptr;
  run(context, FusedMfStep{.width = 32, .optimizer = OptimizerKind::sgd, .mf = args});
  EXPECT_NE(device.slots(context)[GateColumns::loss], 0.0F);
  run(context, device.gate_step(1));
  for (const float x : device.slots(context)) EXPECT_EQ(x, 0.0F);
  EXPECT_EQ(device.state(context).gate.running, world.state.gate.running);
}

TEST(MfErrors, SayWhatToDo) {
  const Context context(Device::cpu, 1);
  const World world = make_world({});
  DeviceWorld device(context, world, 8);
  const MfArgs args = device.args(0, 8);
  const auto fused = [&](int width, OptimizerKind optimizer, const MfArgs& with) {
    return error_of([&] { run(context, FusedMfStep{.width = width, .optimizer = optimizer, .mf = with}); });
  };
  EXPECT_EQ(fused(48, OptimizerKind::sgd, args), "model.width = 48 has no kernel: use 32, 64, 128 or 256");
  for (const OptimizerKind optimizer : all_optimizers()) {
    if (!info_of(optimizer).every_row) continue;
    EXPECT_THAT(fused(32, optimizer, args), HasSubstr("use train.mode=exact, or train.optimizer=sgd, "));
  }
  MfArgs no_slots = args;
  no_slots.gate.n_slots = 0;
  EXPECT_THAT(fused(32, OptimizerKind::sgd, no_slots), HasSubstr("no accumulator slots"));

  for (const int width : {-1, 0, 48}) {
    EXPECT_THAT(error_of([&] { MfBatch(context, width, 6, 10, 8, OptimizerKind::adam); }),
                HasSubstr("has no kernel: use 32, 64, 128 or 256"))
        << width;
  }
  MfBatch exact(context, 32, 6, 10, 4, OptimizerKind::adam);
  EXPECT_THAT(error_of([&] { exact.step(context, 1, args); }), HasSubstr("more rows than it was made for"));
  MfBatch large(context, 32, 6, 10, 24, OptimizerKind::adam);
  EXPECT_THAT(error_of([&] { large.step(context, 1, device.args(0, 9)); }),
              HasSubstr("more rows than it was made for"));
}

}  // namespace
}  // namespace sllmr
