#include "kernels/pointwise_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/gates.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

UserSignals signals_of_user(float cold) {
  return make_signals<UserSignals>(cold, [] { return 0.4F; });
}

/// Two training rows, then three pairs of judged rows.
struct Rows {
  std::vector<float> logits = {9.0F, -9.0F, 0.3F, -2.0F, 30.0F, -40.0F, 0.0F, 1.5F};
  std::vector<float> targets = {0.9F, 0.2F, 1.0F, 0.0F, 0.5F, 0.999F};
  std::vector<HeadPair> pairs = {
      {{1, 2, 0.7F, 0.2F}, 1, 2, 5, 0}, {{2, 3, 0.3F, 0.1F}, 2, 3, 6, 0}, {{3, 1, 0.5F, 0.4F}, 3, 4, 7, 0}};
  std::vector<UserSignals> users = {{}, signals_of_user(1), signals_of_user(0), signals_of_user(1)};
  std::vector<ItemSignals> items = {{}, {1, 0.1F}, {0, 0.8F}, {1, 0.4F}};
  std::vector<float> uncertainties;  // of passes; of the logits where it is empty
  float weight = 0.7F;
};

struct PointwiseOutcome {
  std::vector<float> d_logits;
  std::vector<double> totals;  // by GateColumns
};

PointwiseOutcome run(const Context& context, const Rows& rows, PointwiseLoss loss, int rule) {
  constexpr int kSlots = 5, kFirst = 2;
  std::vector<float> theta = initial_gate_params(rule, 3);
  for (std::size_t k = 0; k < theta.size(); ++k) theta[k] += 0.1F * static_cast<float>(1 + k % 3);
  const Buffer<float> logits(context, std::span<const float>(rows.logits)),
      targets(context, std::span<const float>(rows.targets)),
      parameters(context, std::span<const float>(theta));
  const Buffer<float> uncertainties(context, std::span<const float>(rows.uncertainties));
  const Buffer<HeadPair> pairs(context, std::span<const HeadPair>(rows.pairs));
  const Buffer<UserSignals> users(context, std::span<const UserSignals>(rows.users));
  const Buffer<ItemSignals> items(context, std::span<const ItemSignals>(rows.items));
  const std::vector<float> untouched(rows.logits.size(), 42.0F);
  Buffer<float> d_logits(context, std::span<const float>(untouched)),
      slots(context, kSlots * GateColumns::stride);
  PointwiseHead args{.logits = logits.data(),
                     .pairs = pairs.data(),
                     .n_pairs = std::ssize(rows.pairs),
                     .targets = targets.data(),
                     .loss = loss,
                     .weight = rows.weight,
                     .uncertainties = uncertainties.data(),
                     .gate = {},
                     .first_slot = kFirst,
                     .d_logits = d_logits.data()};
  args.gate.rule = rule;
  args.gate.theta = parameters.data();
  args.gate.users = users.data();
  args.gate.items = items.data();
  args.gate.slots = slots.data();
  args.gate.n_slots = kSlots;
  run(context, args);
  PointwiseOutcome out{d_logits.to_host(context), std::vector<double>(GateColumns::stride)};
  const std::vector<float> sums = slots.to_host(context);
  for (std::size_t k = 0; k < sums.size(); ++k) {
    out.totals[k % GateColumns::stride] += static_cast<double>(sums[k]);
  }
  return out;
}

double reference_loss(PointwiseLoss loss, double s, double t) {
  const double p = 1 / (1 + std::exp(-s));
  if (loss == PointwiseLoss::mse) return (p - t) * (p - t);
  if (loss == PointwiseLoss::bce) return std::log1p(std::exp(-s)) + (1 - t) * s;
  const double kept = std::clamp(t, 0.01, 0.99), off = s - std::log(kept / (1 - kept));
  return off * off;
}

struct JudgedRow {
  std::size_t row;
  Id user, item;
  float gap;
  double target;
};
std::vector<JudgedRow> judged(const Rows& rows) {
  std::vector<JudgedRow> out;
  for (std::size_t k = 0; k < rows.pairs.size(); ++k) {
    const HeadPair& both = rows.pairs[k];
    out.push_back({static_cast<std::size_t>(both.row_a), both.user, both.pair.a, both.pair.gap(),
                   static_cast<double>(rows.targets[2 * k])});
    out.push_back({static_cast<std::size_t>(both.row_b), both.user, both.pair.b, both.pair.gap(),
                   static_cast<double>(rows.targets[2 * k + 1])});
  }
  return out;
}

constexpr PointwiseLoss kLosses[] = {PointwiseLoss::mse, PointwiseLoss::bce, PointwiseLoss::logit};

/// Every rule: the gradient of the mean of alpha * loss by finite differences in double precision, alpha
/// being a constant, and the sums.
void expect_right(const Context& context, const std::vector<float>& uncertainties = {}) {
  Rows rows;
  rows.uncertainties = uncertainties;
  for (int rule = 0; rule < static_cast<int>(gate_rules().size()); ++rule) {
    std::vector<float> theta = initial_gate_params(rule, 3);
    for (std::size_t k = 0; k < theta.size(); ++k) theta[k] += 0.1F * static_cast<float>(1 + k % 3);
    GateArgs gate;
    gate.rule = rule;
    gate.theta = theta.data();
    gate.users = rows.users.data();
    gate.items = rows.items.data();
    for (const PointwiseLoss loss : kLosses) {
      SCOPED_TRACE(std::string(gate_rules()[static_cast<std::size_t>(rule)].name));
      const PointwiseOutcome out = run(context, rows, loss, rule);
      std::vector<double> expected(rows.logits.size(), 42.0);
      double alphas = 0, losses = 0;
      for (const JudgedRow& each : judged(rows)) {
        GateSignals z = gate_signals(gate, each.user, each.item, each.gap);
        z.uncertainty = uncertainties.empty() ? uncertainty_of(rows.logits[each.row], Uncertainty::confidence)
                                              : uncertainties[each.row];
        z.logit = logit_signal(rows.logits[each.row]);
        const auto alpha = static_cast<double>(alpha_of(gate, each.user, each.item, z));
        const auto s = static_cast<double>(rows.logits[each.row]);
        constexpr double kStep = 1e-5;
        expected[each.row] =
            static_cast<double>(rows.weight) * alpha / 6 *
            (reference_loss(loss, s + kStep, each.target) - reference_loss(loss, s - kStep, each.target)) /
            (2 * kStep);
        alphas += alpha;
        losses += alpha * reference_loss(loss, s, each.target);
      }
      EXPECT_TRUE(all_near(out.d_logits, expected, {2e-6, 1e-4})) << static_cast<int>(loss);
      EXPECT_EQ(out.totals[GateColumns::pairs], 3);
      EXPECT_NEAR(out.totals[GateColumns::pair_alpha], 0.5 * alphas, 1e-5);
      EXPECT_TRUE(near(out.totals[GateColumns::pair_hinge], 0.5 * losses, {1e-5, 1e-5}));
      double counted = 0, by_bucket = 0;
      for (int bucket = 0; bucket < 4; ++bucket) {
        const int column = GateColumns::bucket + bucket * GateColumns::bucket_columns;
        counted += out.totals[static_cast<std::size_t>(column)];
        by_bucket += out.totals[static_cast<std::size_t>(column) + 1];
      }
      EXPECT_EQ(counted, 6);
      EXPECT_NEAR(by_bucket, alphas, 1e-5);
    }
  }
}

TEST(PointwiseLoss, GradientsAndSumsOfEveryRuleAreRight) {
  expect_right(Context(Device::cpu, 1));
}

TEST(PointwiseLossCuda, GradientsAndSumsOfEveryRuleAreRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right(Context(Device::cuda));
}

// Those of the training rows are read by nobody.
std::vector<float> of_passes() {
  return {kNan, kNan, 0.1F, 0.9F, 0.3F, 0.0F, 1.0F, 0.6F};
}

TEST(PointwiseLoss, TakesTheUncertaintiesOfPasses) {
  expect_right(Context(Device::cpu, 1), of_passes());
}

TEST(PointwiseLossCuda, TakesTheUncertaintiesOfPasses) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right(Context(Device::cuda), of_passes());
}

TEST(PointwiseLoss, ANaNReachesTheGradient) {
  Rows rows;
  rows.logits[2] = kNan;
  for (const PointwiseLoss loss : kLosses) {
    const PointwiseOutcome out = run(Context(Device::cpu, 1), rows, loss, rule_id("always"));
    EXPECT_TRUE(std::isnan(out.d_logits[2])) << static_cast<int>(loss);
    EXPECT_TRUE(std::isnan(out.totals[GateColumns::pair_hinge])) << static_cast<int>(loss);
  }
}

TEST(PointwiseLoss, TheRowsAreTheBatchsAndTheSlotsItsOwn) {
  Rows rows;
  rows.pairs.clear();
  EXPECT_EQ(run(Context(Device::cpu, 1), rows, PointwiseLoss::mse, rule_id("always")).d_logits,
            std::vector<float>(rows.logits.size(), 42.0F));
}

}  // namespace
}  // namespace sllmr
