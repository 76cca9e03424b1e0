#include "kernels/dllm2rec_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "kernels/exec/memory.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

struct Appended {
  std::vector<float> logits = {0.3F, -2.0F, 30.0F, -40.0F, 0.0F, 1.5F, 90.0F};
  std::vector<DistilledRow> rows = {{0.6F, 1, 0},  {0.3F, 1, 0},  {0.1F, 1, 0}, {0.2F, 1, 0},
                                    {1.0F, -1, 0}, {1.0F, -1, 1}, {1.0F, -1, 1}};
};
constexpr float kScale = 0.7F;

struct DistilledOutcome {
  std::vector<float> d_logits;
  std::vector<double> totals;  // by GateColumns
};

DistilledOutcome distil(const Context& context, const Appended& appended) {
  const std::size_t first = 2, n = appended.rows.size();
  const Buffer<float> logits(context, std::span<const float>(appended.logits));
  const Buffer<DistilledRow> rows(context, std::span<const DistilledRow>(appended.rows));
  const std::vector<float> untouched(n + 1, 42.0F);
  Buffer<float> d_logits(context, std::span<const float>(untouched)),
      slots(context, (first + n) * GateColumns::stride);
  DistillationHead args{.logits = logits.data(),
                        .rows = rows.data(),
                        .n = static_cast<std::int64_t>(n),
                        .scale = kScale,
                        .gate = {},
                        .first_slot = first,
                        .d_logits = d_logits.data()};
  args.gate.slots = slots.data();
  args.gate.n_slots = static_cast<int>(first + n);
  run(context, args);
  DistilledOutcome out{d_logits.to_host(context), std::vector<double>(GateColumns::stride)};
  const std::vector<float> sums = slots.to_host(context);
  for (std::size_t k = 0; k < sums.size(); ++k) {
    out.totals[k % GateColumns::stride] += static_cast<double>(sums[k]);
  }
  return out;
}

/// -log sigmoid(s) of a positive, -log sigmoid(-s) of a negative, -log sigmoid(1 - s) of the release's.
double loss_of(const DistilledRow& row, double s) {
  const double x = row.sign > 0 ? s : row.offset == 1 ? 1 - s : -s;
  return static_cast<double>(row.weight) * (x > 0 ? std::log1p(std::exp(-x)) : std::log1p(std::exp(x)) - x);
}

/// Gradients by finite differences in double precision.
void expect_right_distillation(const Context& context) {
  const Appended appended;
  const DistilledOutcome out = distil(context, appended);
  std::vector<double> expected;
  double losses = 0;
  for (std::size_t k = 0; k < appended.rows.size(); ++k) {
    constexpr double kStep = 1e-5;
    const auto s = static_cast<double>(appended.logits[k]);
    const DistilledRow& row = appended.rows[k];
    expected.push_back(static_cast<double>(kScale) * (loss_of(row, s + kStep) - loss_of(row, s - kStep)) /
                       (2 * kStep));
    losses += loss_of(row, s);
  }
  expected.push_back(42.0);  // not one of the rows
  EXPECT_TRUE(all_near(out.d_logits, expected, {1e-7, 1e-5}));
  EXPECT_TRUE(near(out.totals[GateColumns::pair_hinge], losses, {0, 1e-6}));
  for (std::size_t column = 0; column < out.totals.size(); ++column) {
    if (column == GateColumns::pair_hinge) continue;
    EXPECT_EQ(out.totals[column], 0) << column;
  }
}

TEST(Dllm2RecLoss, GradientsAndSumAreRight) {
  expect_right_distillation(Context(Device::cpu, 1));
}

TEST(Dllm2RecLossCuda, GradientsAndSumAreRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right_distillation(Context(Device::cuda));
}

TEST(Dllm2RecLoss, ANaNReachesTheGradientAndTheSum) {
  Appended appended;
  appended.logits[1] = kNan;
  const DistilledOutcome out = distil(Context(Device::cpu, 1), appended);
  EXPECT_TRUE(std::isnan(out.d_logits[1]));
  EXPECT_TRUE(std::isnan(out.totals[GateColumns::pair_hinge]));
}

TEST(Dllm2RecLoss, WithoutRowsNothingIsWritten) {
  Appended appended;
  appended.rows.clear();
  EXPECT_EQ(distil(Context(Device::cpu, 1), appended).d_logits, std::vector<float>{42.0F});
}

}  // namespace
}  // namespace sllmr
