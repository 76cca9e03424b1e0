// The fused and the exact step against the double-precision reference, for every rule and objective.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/fused_mf_step.h"
#include "kernels/gates/parts.h"
#include "kernels/mf_batch.h"
#include "tests/kernels/reference/mf_reference.h"
#include "tests/support/compare.h"
#include "tests/support/gates.h"
#include "tests/support/optimizers.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

constexpr int kWidths[] = {32, 64, 128, 256};
constexpr int kFirstStep = 5;  // of dense Adam and of the gate: training is under way

// A step moves a weight by about 1e-3; float32 keeps about 1e-7 of a weight of order 1.
constexpr Tolerance kWeights{1e-6, 1e-6};
// Adam's 1 - beta2 is a float32 difference, which costs 5 of its 7 digits' last two.
constexpr Tolerance kMoments{1e-7, 5e-6};
constexpr Tolerance kSums{1e-5, 1e-5};

std::string describe(int width, OptimizerKind optimizer) {
  return "width " + std::to_string(width) + ", optimiser " + std::string(info_of(optimizer).name);
}

std::vector<double> flat(const std::vector<reference::Vector>& rows) {
  std::vector<double> out;
  for (const reference::Vector& row : rows) out.insert(out.end(), row.begin(), row.end());
  return out;
}

void expect_table(const HostTable& table, const reference::Table& reference, OptimizerKind optimizer) {
  EXPECT_TRUE(all_near(table.weights, flat(reference.weights), kWeights));
  EXPECT_TRUE(all_near(table.first, flat(reference.first), kMoments));
  EXPECT_TRUE(all_near(table.second, flat(reference.second), kMoments));
  if (info_of(optimizer).counts_steps) {
    EXPECT_EQ(table.steps, reference.steps);
  }
}

void expect_totals(const std::vector<double>& totals, const reference::Totals& reference) {
  using C = GateColumns;
  EXPECT_EQ(totals[C::rows], reference.rows);
  EXPECT_EQ(totals[C::pairs], reference.pairs);
  EXPECT_EQ(totals[C::probes], reference.probes);
  EXPECT_EQ(totals[C::active], reference.active);
  EXPECT_EQ(totals[C::agreement], reference.agreement);
  EXPECT_TRUE(near(totals[C::loss], reference.loss, kSums));
  EXPECT_TRUE(near(totals[C::pair_alpha], reference.pair_alpha, kSums));
  EXPECT_TRUE(near(totals[C::pair_hinge], reference.pair_hinge, kSums));
  EXPECT_TRUE(near(totals[C::pair_weight], reference.pair_weight, kSums));
  for (int cold = 0; cold < 2; ++cold) {
    for (int tail = 0; tail < 2; ++tail) {
      const double* bucket = totals.data() + C::bucket + C::bucket_columns * (2 * cold + tail);
      EXPECT_EQ(bucket[0], reference.bucket_count[cold][tail]);
      EXPECT_TRUE(near(bucket[1], reference.bucket_alpha[cold][tail], kSums));
      EXPECT_TRUE(near(bucket[2], reference.bucket_alpha_squared[cold][tail], kSums));
      EXPECT_TRUE(near(bucket[3], reference.bucket_weight[cold][tail], kSums));
    }
  }
  for (int bin = 0; bin < C::reliability_bins; ++bin) {
    const double* sums = totals.data() + C::reliability + C::reliability_columns * bin;
    EXPECT_EQ(sums[0], reference.reliability[bin][0]);
    EXPECT_TRUE(near(sums[1], reference.reliability[bin][1], kSums));
    EXPECT_EQ(sums[2], reference.reliability[bin][2]);
  }
  const std::vector<double> gradient(totals.begin(), totals.begin() + reference.gate_gradient.size());
  EXPECT_TRUE(all_near(gradient, reference.gate_gradient, kSums));
}

void expect_same(const Context& context, const DeviceWorld& device, const reference::Trainer& reference,
                 OptimizerKind optimizer) {
  const HostState state = device.state(context);
  expect_table(state.users, reference.users(), optimizer);
  expect_table(state.items, reference.items(), optimizer);
  EXPECT_TRUE(all_near(state.gate.theta, reference.theta(), kWeights));
  EXPECT_TRUE(all_near(state.gate.first, reference.theta_first(), kSums));
  EXPECT_TRUE(all_near(state.gate.second, reference.theta_second(), kMoments));
  EXPECT_TRUE(all_near(state.gate.running, reference.running(), kSums));
  expect_totals(device.totals(context), reference.totals());
}

class EveryGate : public testing::TestWithParam<GateParts> {
 protected:
  void SetUp() override { std::tie(shape_.rule, shape_.objective) = GetParam(); }

  const Context context_{Device::cpu, 1};
  WorldShape shape_;
};

TEST_P(EveryGate, FusedStepOfOneRowIsTheReference) {
  for (const int width : kWidths) {
    for (const OptimizerKind optimizer : fused_optimizers()) {
      SCOPED_TRACE(describe(width, optimizer));
      shape_.width = width;
      shape_.seed = static_cast<std::uint64_t>(width) + static_cast<std::uint64_t>(optimizer);
      shape_.vary(width / 32 + static_cast<int>(optimizer));
      const World world = make_world(shape_);
      DeviceWorld device(context_, world, 3);
      reference::Trainer reference(world);
      for (int row = 0; row < shape_.rows; ++row) {
        run(context_, FusedMfStep{.width = width, .optimizer = optimizer, .mf = device.args(row, 1)});
        run(context_, device.gate_step(kFirstStep + row));
        reference.step(optimizer, 0, row, 1);
        reference.gate_step(kFirstStep + row);
      }
      expect_same(context_, device, reference, optimizer);
    }
  }
}

/// A launch of many rows, where those with pairs are taken in groups.
void expect_launch_is_the_reference(const Context& context, const WorldShape& shape,
                                    OptimizerKind optimizer) {
  SCOPED_TRACE(describe(shape.width, optimizer) + ", pair rate " + std::to_string(shape.pair_rate));
  const World world = make_world(shape);
  DeviceWorld device(context, world, context.device() == Device::cpu ? context.threads() : 256);
  run(context, FusedMfStep{.width = shape.width, .optimizer = optimizer, .mf = device.args(0, shape.rows)});
  run(context, device.gate_step(kFirstStep));
  reference::Trainer reference(world);
  reference.step_rows_apart(optimizer);
  reference.gate_step(kFirstStep);
  expect_same(context, device, reference, optimizer);
}

TEST_P(EveryGate, LaunchOfManyRowsIsTheReference) {
  for (const double pair_rate : {0.05, 0.5, 1.0}) {
    WorldShape shape = WorldShape::of_rows_apart(300);
    std::tie(shape.rule, shape.objective) = GetParam();
    shape.pair_rate = pair_rate;
    shape.seed = static_cast<std::uint64_t>(20 * pair_rate) + 2;
    shape.vary(static_cast<int>(5 * pair_rate) + shape.objective);
    const std::vector<OptimizerKind> fused = fused_optimizers();
    expect_launch_is_the_reference(
        context_, shape, fused[static_cast<std::size_t>(shape.rule + shape.objective) % fused.size()]);
  }
}

TEST(FusedStep, LaunchOfManyRowsIsTheReference) {
  const Context one(Device::cpu, 1), two(Device::cpu, 2);
  for (const OptimizerKind optimizer : fused_optimizers()) {
    for (const int width : kWidths) {
      WorldShape shape = WorldShape::of_rows_apart(300);
      shape.width = width;
      shape.objective = objective_id("agreement");
      expect_launch_is_the_reference(one, shape, optimizer);
    }
    for (const double pair_rate : {0.0, 0.05, 1.0}) {
      // Several threads take batches of 1,024 rows.
      WorldShape shape = WorldShape::of_rows_apart(2500);
      shape.pair_rate = pair_rate;
      expect_launch_is_the_reference(two, shape, optimizer);
    }
  }
}

TEST(FusedStepCuda, LaunchOfManyRowsIsTheReference) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  for (const OptimizerKind optimizer : fused_optimizers()) {
    for (const int width : kWidths) {
      for (const double pair_rate : {0.0, 0.5, 1.0}) {
        // A gate of each class of kernels.
        for (const char* rule : {"learned", "confident", "mlp"}) {
          WorldShape shape = WorldShape::of_rows_apart(300);
          shape.width = width;
          shape.pair_rate = pair_rate;
          shape.rule = rule_id(rule);
          shape.objective = objective_id(pair_rate == 1.0 ? "calibrated" : "agreement");
          if (shape.rule != rule_id("learned")) shape.vary(1 + static_cast<int>(2 * pair_rate));
          expect_launch_is_the_reference(context, shape, optimizer);
        }
      }
    }
  }
}

TEST_P(EveryGate, ExactStepIsTheReference) {
  for (const std::int64_t batch : {1, 6, 24}) {
    for (const OptimizerKind optimizer : all_optimizers()) {
      SCOPED_TRACE(describe(shape_.width, optimizer) + ", batch " + std::to_string(batch));
      shape_.seed = static_cast<std::uint64_t>(batch) + static_cast<std::uint64_t>(optimizer);
      shape_.vary(static_cast<int>(batch) + static_cast<int>(optimizer));
      const World world = make_world(shape_);
      DeviceWorld device(context_, world, static_cast<int>(batch));
      MfBatch exact(context_, shape_.width, shape_.users + 1, shape_.items + 1, batch, optimizer);
      reference::Trainer reference(world);
      int step = kFirstStep;
      for (std::int64_t row = 0; row < shape_.rows; row += batch, ++step) {
        exact.step(context_, step, device.args(row, batch));
        run(context_, device.gate_step(step));
        reference.step(optimizer, step, row, batch);
        reference.gate_step(step);
      }
      expect_same(context_, device, reference, optimizer);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryGate, every_gate(), gate_test_name);

TEST(ExactStep, IsTheReferenceAtEveryWidth) {
  const Context context(Device::cpu, 1);
  for (const int width : kWidths) {
    for (const OptimizerKind optimizer : all_optimizers()) {
      SCOPED_TRACE(describe(width, optimizer));
      WorldShape shape;
      shape.width = width;
      shape.rows = 48;
      const World world = make_world(shape);
      DeviceWorld device(context, world, 16);
      MfBatch exact(context, width, shape.users + 1, shape.items + 1, 16, optimizer);
      reference::Trainer reference(world);
      for (int step = 0; step < 3; ++step) {
        exact.step(context, kFirstStep + step, device.args(16 * step, 16));
        run(context, device.gate_step(kFirstStep + step));
        reference.step(optimizer, kFirstStep + step, 16 * step, 16);
        reference.gate_step(kFirstStep + step);
      }
      expect_same(context, device, reference, optimizer);
    }
  }
}

TEST(ExactStep, OfOneRowIsTheFusedStep) {
  const Context context(Device::cpu, 1);
  for (const int width : kWidths) {
    for (const OptimizerKind optimizer : fused_optimizers()) {
      SCOPED_TRACE(describe(width, optimizer));
      WorldShape shape;
      shape.width = width;
      const World world = make_world(shape);
      DeviceWorld fused(context, world, 1), exact(context, world, 1);
      MfBatch batch(context, width, shape.users + 1, shape.items + 1, 1, optimizer);
      for (int row = 0; row < shape.rows; ++row) {
        run(context, FusedMfStep{.width = width, .optimizer = optimizer, .mf = fused.args(row, 1)});
        run(context, fused.gate_step(kFirstStep + row));
        batch.step(context, kFirstStep + row, exact.args(row, 1));
        run(context, exact.gate_step(kFirstStep + row));
      }
      const HostState a = fused.state(context), b = exact.state(context);
      EXPECT_TRUE(all_near(a.users.weights, b.users.weights, kWeights));
      EXPECT_TRUE(all_near(a.items.weights, b.items.weights, kWeights));
      EXPECT_TRUE(all_near(a.gate.theta, b.gate.theta, kWeights));
      EXPECT_TRUE(all_near(fused.totals(context), exact.totals(context), kSums));
    }
  }
}

TEST(MfReference, WorldsHoldWhatTheStepsMustHandle) {
  // Repeated users and items, pairs that share items with their row, rows without pairs: if the worlds lost
  // them, the tests above would test less than they say.
  const World world = make_world({});
  int overlaps = 0, probes = 0, without = 0;
  std::size_t pair = 0;
  for (std::size_t row = 0; row < world.triples.size(); ++row) {
    const Triple& triple = world.triples[row];
    ASSERT_NE(triple.positive, triple.negative);
    if (!world.pair_rate.selects(row)) {
      ++without;
      continue;
    }
    const RowPairs& pairs = world.pairs[pair++];
    probes += pairs.probe.a != 0;
    if (pairs.guide.a == 0) continue;
    ASSERT_NE(pairs.guide.a, pairs.guide.b);
    overlaps += pairs.guide.a == triple.positive || pairs.guide.b == triple.negative;
  }
  EXPECT_EQ(pair, world.pairs.size());
  EXPECT_GE(overlaps, 3);
  EXPECT_GE(probes, 3);
  EXPECT_GE(without, 3);
}

}  // namespace
}  // namespace sllmr
