// Every kernel on the CPU and on CUDA from the same numbers. The sources are the same: what can differ is the
// sum over lanes, atomics, and the libraries.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "kernels/exec/gemm.h"
#include "kernels/fused_mf_step.h"
#include "kernels/mf_batch.h"
#include "tests/support/compare.h"
#include "tests/support/gates.h"
#include "tests/support/optimizers.h"
#include "tests/support/scores.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

constexpr int kParityWidths[] = {32, 64, 128, 256};
constexpr Tolerance kState{2e-6, 2e-6};
constexpr Tolerance kParitySums{2e-5, 2e-5};

/// Runs `action(context)` on both devices and returns the two results, the CPU's first.
template <class Action>
auto on_both(Action action) {
  return std::pair(action(Context(Device::cpu, 1)), action(Context(Device::cuda)));
}

template <class Record>
bool same_bits(const std::vector<Record>& a, const std::vector<Record>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Record)) == 0;
}

/// Where a run ends.
struct End {
  HostState state;
  std::vector<double> totals;
};

void expect_table(const HostTable& cuda, const HostTable& cpu) {
  EXPECT_TRUE(all_near(cuda.weights, cpu.weights, kState));
  EXPECT_TRUE(all_near(cuda.first, cpu.first, kState));
  EXPECT_TRUE(all_near(cuda.second, cpu.second, kState));
  EXPECT_EQ(cuda.steps, cpu.steps);
}

void expect_same(const std::pair<End, End>& ends) {
  const auto& [cpu, cuda] = ends;
  expect_table(cuda.state.users, cpu.state.users);
  expect_table(cuda.state.items, cpu.state.items);
  EXPECT_TRUE(all_near(cuda.state.gate.theta, cpu.state.gate.theta, kParitySums));
  EXPECT_TRUE(all_near(cuda.state.gate.first, cpu.state.gate.first, kParitySums));
  EXPECT_TRUE(all_near(cuda.state.gate.second, cpu.state.gate.second, kParitySums));
  EXPECT_TRUE(all_near(cuda.state.gate.running, cpu.state.gate.running, kParitySums));
  EXPECT_TRUE(all_near(cuda.totals, cpu.totals, kParitySums));
}

/// `rows_a_launch` rows a fused launch, a gate step after each.
End run_fused(const Context& context, const World& world, OptimizerKind optimizer,
              std::int64_t rows_a_launch) {
  DeviceWorld device(context, world, 4);
  std::int32_t step = 1;
  for (std::int64_t row = 0; row < world.shape.rows; row += rows_a_launch, ++step) {
    run(context,
        FusedMfStep{
            .width = world.shape.width, .optimizer = optimizer, .mf = device.args(row, rows_a_launch)});
    run(context, device.gate_step(step));
  }
  return {device.state(context), device.totals(context)};
}

End run_exact(const Context& context, const World& world, OptimizerKind optimizer, std::int64_t batch) {
  DeviceWorld device(context, world, static_cast<int>(batch));
  MfBatch exact(context, world.shape.width, world.shape.users + 1, world.shape.items + 1, batch, optimizer);
  std::int32_t step = 1;
  for (std::int64_t row = 0; row < world.shape.rows; row += batch, ++step) {
    exact.step(context, step, device.args(row, batch));
    run(context, device.gate_step(step));
  }
  return {device.state(context), device.totals(context)};
}

/// No two rows share a user or an item, so that a fused launch of them has one outcome.
World make_disjoint_world(const WorldShape& shape) {
  World world = make_world(shape);
  std::size_t pair = 0;
  for (std::size_t row = 0; row < world.triples.size(); ++row) {
    const auto id = static_cast<Id>(row);
    world.triples[row] = {id + 1, 4 * id + 1, 4 * id + 2};
    if (!world.pair_rate.selects(row)) continue;
    RowPairs& pairs = world.pairs[pair++];
    if (pairs.guide.a != 0) {
      pairs.guide.a = 4 * id + 3;
      pairs.guide.b = row % 3 == 0 ? 4 * id + 2 : 4 * id + 4;
    }
    if (pairs.probe.a != 0) {
      pairs.probe.a = 4 * id + 4;
      pairs.probe.b = 4 * id + 1;
    }
  }
  return world;
}

class CudaParity : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  }
};

class CudaParityOfGate : public testing::TestWithParam<GateParts> {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
    std::tie(shape_.rule, shape_.objective) = GetParam();
    shape_.vary(shape_.rule + shape_.objective);
  }
  WorldShape shape_;
};

INSTANTIATE_TEST_SUITE_P(Registry, CudaParityOfGate, every_gate(), gate_test_name);

TEST_P(CudaParityOfGate, FusedStepRowByRow) {
  for (const OptimizerKind optimizer : fused_optimizers()) {
    const World world = make_world(shape_);
    expect_same(on_both([&](const Context& context) { return run_fused(context, world, optimizer, 1); }));
  }
}

TEST_P(CudaParityOfGate, FusedStepOfDisjointRows) {
  shape_.rows = 300;
  shape_.users = 300;
  shape_.items = 1200;
  const World world = make_disjoint_world(shape_);
  expect_same(on_both(
      [&](const Context& context) { return run_fused(context, world, OptimizerKind::lazy_adam, 300); }));
}

TEST_P(CudaParityOfGate, TenExactSteps) {
  shape_.rows = 160;
  const World world = make_world(shape_);
  for (const OptimizerKind optimizer : {OptimizerKind::sgd, OptimizerKind::adam}) {
    expect_same(on_both([&](const Context& context) { return run_exact(context, world, optimizer, 16); }));
  }
}

TEST_F(CudaParity, StepsAtEveryWidthWithEveryOptimizer) {
  for (const int width : kParityWidths) {
    // A gate of each class of kernels.
    for (const char* rule : {"learned", "confident", "mlp"}) {
      WorldShape shape;
      shape.width = width;
      shape.rows = 80;
      shape.rule = rule_id(rule);
      if (shape.rule != rule_id("learned")) {
        shape.objective = objective_id("calibrated");
        shape.vary(penalty_id("soft"));
      }
      const World world = make_world(shape);
      for (const OptimizerKind optimizer : fused_optimizers()) {
        expect_same(on_both([&](const Context& context) { return run_fused(context, world, optimizer, 1); }));
      }
      for (const OptimizerKind optimizer : all_optimizers()) {
        expect_same(
            on_both([&](const Context& context) { return run_exact(context, world, optimizer, 16); }));
      }
    }
  }
}

TEST_F(CudaParity, ExactStepIsBitwiseRepeatable) {
  WorldShape shape;
  shape.rows = 2560;
  shape.users = 50;
  shape.items = 90;
  shape.objective = objective_id("agreement");
  const World world = make_world(shape);
  const Context context(Device::cuda);
  for (const OptimizerKind optimizer : all_optimizers()) {
    const End first = run_exact(context, world, optimizer, 256);
    const End second = run_exact(context, world, optimizer, 256);
    EXPECT_EQ(first.state, second.state);
    EXPECT_EQ(first.totals, second.totals);
  }
}

TEST_F(CudaParity, FusedStepLosesNoSgdUpdateOfASharedItem) {
  // All rows share their items and have users of their own: each item's gradient is a sum over the rows, and
  // an update that was lost would be missing from it.
  WorldShape shape;
  shape.rows = shape.users = 512;
  shape.pair_rate = 0;
  World world = make_world(shape);
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    world.triples[static_cast<std::size_t>(row)] = {static_cast<Id>(row) + 1, 1, 2};
  }
  world.optimizer = {1e-5F, 0};  // so small that rows hardly see each other's updates
  const auto [cpu, cuda] =
      on_both([&](const Context& context) { return run_fused(context, world, OptimizerKind::sgd, 512); });
  const auto moved = [&](const End& end) {
    std::vector<double> out;
    for (std::size_t k = 0; k < end.state.items.weights.size(); ++k) {
      out.push_back(static_cast<double>(end.state.items.weights[k] - world.state.items.weights[k]));
    }
    return out;
  };
  EXPECT_LT(norm_error(moved(cuda), moved(cpu)), 0.02);
}

TEST_F(CudaParity, SampleTriples) {
  for (const double power : {0.0, 0.75}) {
    const std::int64_t block_rows = power == 0 ? 0 : 256;
    const auto [cpu, cuda] = on_both([power, block_rows](const Context& context) {
      const Interactions interactions = make_interactions(context, 300, 1, 20, 60, 1, power);
      const auto n = static_cast<std::int64_t>(interactions.items.size());
      Buffer<Triple> out(context, interactions.items.size());
      run(context, SampleTriples{.interactions = interactions.view(),
                                 .seed = 5,
                                 .epoch = 2,
                                 .first_row = 0,
                                 .count = n,
                                 .block_rows = block_rows,
                                 .out = out.data()});
      return out.to_host(context);
    });
    EXPECT_TRUE(same_bits(cuda, cpu)) << power;
  }
}

TEST_F(CudaParity, SamplePairs) {
  for (const PairChoice choice : {PairChoice::sampled, PairChoice::largest}) {
    const auto [cpu, cuda] = on_both([&](const Context& context) {
      const Scores scores = make_scores(context, 200, 40, 1);
      TestNumbers numbers(2);
      std::vector<Triple> triples(5000);
      for (Triple& triple : triples) triple = {numbers.id(1, 200), 1, 2};
      const Buffer<Triple> device_triples(context, triples);
      const PairPolicy policy{choice, Share::of(0.7), Share::of(0.4)};
      Buffer<RowPairs> out(context, policy.pair_rate.count_before(triples.size()));
      run(context, SamplePairs{.scores = scores.view(),
                               .policy = policy,
                               .seed = 5,
                               .epoch = 2,
                               .first_row = 0,
                               .count = 5000,
                               .triples = device_triples.data(),
                               .out = out.data()});
      LargestPairs largest(context, static_cast<std::int64_t>(out.size()));
      largest.keep(context, out.data(), static_cast<std::int64_t>(out.size()), 1000);
      return out.to_host(context);
    });
    EXPECT_TRUE(same_bits(cuda, cpu));
  }
}

TEST_F(CudaParity, KeySort) {
  TestNumbers numbers(1);
  for (const std::size_t n : {0, 1, 2, 33, 10'000}) {
    const std::int32_t max_key = n % 2 == 0 ? 500 : 0x7FFFFFFF;  // its bits are what is sorted by
    std::vector<std::int32_t> keys(n);
    for (auto& key : keys) key = numbers.id(0, 9) == 0 ? max_key : numbers.id(0, 500);
    const auto [cpu, cuda] = on_both([&](const Context& context) {
      KeySort sort(context, 10'000, max_key);
      const Buffer<std::int32_t> in(context, keys);
      Buffer<std::int32_t> sorted(context, n), order(context, n);
      sort(context, in.data(), static_cast<std::int64_t>(n), sorted.data(), order.data());
      return std::pair(sorted.to_host(context), order.to_host(context));
    });
    EXPECT_EQ(cuda, cpu);
  }
}

TEST_F(CudaParity, Multiply) {
  TestNumbers numbers(1);
  constexpr std::int64_t kM = 37, kN = 65, kK = 129, kStride = 140;
  const std::vector<float> a = numbers.many(kK * kStride, -1, 1), b = numbers.many(kK * kStride, -1, 1);
  const std::vector<float> c = numbers.many(kM * kStride, -1, 1);
  for (const bool of_a : {false, true}) {
    for (const bool of_b : {false, true}) {
      const auto [cpu, cuda] = on_both([&](const Context& context) {
        const Buffer<float> left(context, a), right(context, b);
        Buffer<float> out(context, c);
        const Matrix<const float> x(left.data(), of_a ? kK : kM, of_a ? kM : kK, kStride),
            y(right.data(), of_b ? kN : kK, of_b ? kK : kN, kStride);
        multiply_add(context, {x, of_a}, {y, of_b}, Matrix<float>(out.data(), kM, kN, kStride));
        return out.to_host(context);
      });
      EXPECT_TRUE(all_near(cuda, cpu, {2e-5, 2e-6}));
    }
  }
}

TEST_F(CudaParity, BuffersMoveDataBothWays) {
  const Context context(Device::cuda);
  const std::size_t before = device_bytes(Device::cuda);
  TestNumbers numbers(1);
  const std::vector<float> values = numbers.many(1000, -1, 1);
  {
    Buffer<float> buffer(context, values);
    EXPECT_EQ(device_bytes(Device::cuda), before + 4000);
    EXPECT_EQ(buffer.to_host(context), values);
    buffer.zero(context);
    EXPECT_EQ(buffer.to_host(context), std::vector<float>(1000));
  }
  EXPECT_EQ(device_bytes(Device::cuda), before);
}

}  // namespace
}  // namespace sllmr
