#include "kernels/loss_head.h"

#include <gmock/gmock.h>

#include <cmath>
#include <span>
#include <vector>

#include "kernels/gates/parts.h"
#include "tests/kernels/reference/mf_reference.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/finite_difference.h"
#include "tests/support/gates.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

/// Six training rows, then a guiding pair with room to its margin, one without, and a probe pair.
struct Head {
  std::vector<float> logits = {0.3F, -1.2F, 2.5F, 0.1F, -30.0F, 40.0F, 0.2F, 0.5F, 3.0F, -1.0F, 0.4F, 0.4F};
  std::vector<float> targets = {1, 0, 1, 0, 1, 0};
  std::vector<float> weights;  // 1 each where it is empty
  std::vector<HeadPair> pairs = {
      {{1, 2, 0.7F, 0.2F}, 1, 6, 7, 0}, {{2, 3, 0.3F, 0.1F}, 2, 8, 9, 0}, {{3, 1, 0.4F, 0.5F}, 1, 10, 11, 1}};
  std::vector<float> cosines = {0, 0, 0};
  std::vector<float> uncertainties;  // of passes; of the logits where it is empty
  Uncertainty uncertainty = Uncertainty::confidence;
  float lambda = 0.5F, margin = 1.0F;
  int penalty = penalty_id("hinge");
};

struct HeadOutcome {
  std::vector<float> d_logits;
  std::vector<double> totals;  // by GateColumns
};

HeadOutcome run(const Context& context, const Head& head, BaseLoss loss, int rule = rule_id("always"),
                int objective = objective_id("hinge")) {
  const auto rows = static_cast<std::int64_t>(head.targets.size());
  const int slots = static_cast<int>(rows) + static_cast<int>(head.pairs.size());
  const std::vector<float> theta = initial_gate_params(rule, 1);
  const Buffer<float> logits(context, std::span<const float>(head.logits)),
      targets(context, std::span<const float>(head.targets)),
      parameters(context, std::span<const float>(theta)), running(context, 2);
  const Buffer<HeadPair> pairs(context, std::span<const HeadPair>(head.pairs));
  const Buffer<float> weights(context, std::span<const float>(head.weights));
  const Buffer<float> cosines(context, std::span<const float>(head.cosines));
  const Buffer<float> uncertainties(context, std::span<const float>(head.uncertainties));
  const Buffer<UserSignals> users(context, 4);
  const Buffer<ItemSignals> items(context, 4);
  Buffer<float> d_logits(context, head.logits.size()),
      sums(context, static_cast<std::size_t>(slots) * GateColumns::stride);
  LossHead args;
  args.logits = logits.data();
  args.targets = targets.data();
  args.weights = head.weights.empty() ? nullptr : weights.data();
  args.rows = rows;
  args.loss = loss;
  args.pairs = pairs.data();
  args.n_pairs = static_cast<std::int64_t>(head.pairs.size());
  args.cosines = cosines.data();
  args.uncertainties = uncertainties.data();
  args.gate.uncertainty = head.uncertainty;
  args.d_logits = d_logits.data();
  args.gate.rule = rule;
  args.gate.objective = objective;
  args.gate.penalty = head.penalty;
  args.gate.uses_probes = gate_objectives()[static_cast<std::size_t>(objective)].uses_probes;
  args.gate.lambda = head.lambda;
  args.gate.margin = head.margin;
  args.gate.price = 0.1F;
  args.gate.theta = parameters.data();
  args.gate.running = running.data();
  args.gate.users = users.data();
  args.gate.items = items.data();
  args.gate.slots = sums.data();
  args.gate.n_slots = slots;
  run(context, args);
  HeadOutcome out{d_logits.to_host(context), std::vector<double>(GateColumns::stride)};
  const std::vector<float> slot_values = sums.to_host(context);
  for (std::size_t k = 0; k < slot_values.size(); ++k) {
    out.totals[k % GateColumns::stride] += static_cast<double>(slot_values[k]);
  }
  return out;
}

double sigmoid_of(double x) {
  return 1 / (1 + std::exp(-x));
}

/// The whole loss in double precision, written naively, with all gates open.
double reference_loss(const Head& head, BaseLoss loss, const std::vector<double>& s) {
  const std::size_t rows = head.targets.size();
  double sum = 0;
  for (std::size_t k = 0; k < rows; ++k) {
    const double y = static_cast<double>(head.targets[k]);
    const double weight = head.weights.empty() ? 1 : static_cast<double>(head.weights[k]);
    if (loss == BaseLoss::bpr) {
      if (k % 2 == 0) sum += weight * 2 * std::log1p(std::exp(-(s[k] - s[k + 1])));
    } else if (loss == BaseLoss::bce) {
      sum += weight * (std::log1p(std::exp(-s[k])) + (1 - y) * s[k]);
    } else {
      const double p = sigmoid_of(s[k]);
      sum -= weight * (y * std::max(std::log(p), -100.0) + (1 - y) * std::max(std::log(1 - p), -100.0));
    }
  }
  for (const HeadPair& both : head.pairs) {
    if (both.probe != 0) continue;
    const reference::PenaltyFacts pair{1, head.margin, both.pair.score_a, both.pair.score_b};
    sum += static_cast<double>(head.lambda) *
           reference::penalty(gate_penalties()[static_cast<std::size_t>(head.penalty)].name,
                              s[static_cast<std::size_t>(both.row_a)],
                              s[static_cast<std::size_t>(both.row_b)], pair);
  }
  return sum / static_cast<double>(rows);
}

std::vector<double> reference_gradient(const Head& head, BaseLoss loss) {
  std::vector<double> s(head.logits.begin(), head.logits.end()), gradient(s.size());
  constexpr double kStep = 1e-5;
  for (std::size_t k = 0; k < s.size(); ++k) {
    const double kept = s[k];
    s[k] = kept + kStep;
    const double above = reference_loss(head, loss, s);
    s[k] = kept - kStep;
    const double below = reference_loss(head, loss, s);
    s[k] = kept;
    gradient[k] = (above - below) / (2 * kStep);
  }
  return gradient;
}

void expect_gradients(const Context& context) {
  Head head;
  for (const BaseLoss loss : {BaseLoss::bce, BaseLoss::bpr, BaseLoss::clamped_bce}) {
    if (loss == BaseLoss::clamped_bce)
      head.logits[4] = -9.0F, head.logits[5] = 8.0F;  // float has no 1 - 1e-17
    for (const GatePart& penalty : gate_penalties()) {
      head.penalty = penalty.id;
      const HeadOutcome out = run(context, head, loss);
      EXPECT_TRUE(all_near(out.d_logits, reference_gradient(head, loss), {2e-6, 1e-3}))
          << static_cast<int>(loss) << " " << penalty.name;
    }
  }
}

TEST(LossHead, GradientsAreThoseOfTheLoss) {
  expect_gradients(Context(Device::cpu));
}

TEST(LossHead, TakesSoftTargetsAndWeights) {
  const Context context(Device::cpu);
  Head soft;
  soft.targets = {0.9F, 0.25F, 0.5F, 1.0F, 0.125F, 0.0F};
  soft.weights = {1.0F, 0.5F, 0.0F, 3.0F, 1.5F, 0.25F};
  soft.logits[4] = -9.0F, soft.logits[5] = 8.0F;
  const std::vector<double> s(soft.logits.begin(), soft.logits.end());
  for (const BaseLoss loss : {BaseLoss::bce, BaseLoss::bpr, BaseLoss::clamped_bce}) {
    const HeadOutcome out = run(context, soft, loss);
    EXPECT_TRUE(all_near(out.d_logits, reference_gradient(soft, loss), {2e-6, 1e-3}))
        << static_cast<int>(loss);
    Head base = soft;
    base.lambda = 0;
    EXPECT_NEAR(out.totals[GateColumns::loss], 6 * reference_loss(base, loss, s), 1e-3);
  }
}

TEST(LossHead, AWeightOfOneIsNone) {
  const Context context(Device::cpu);
  Head head;
  for (const BaseLoss loss : {BaseLoss::bce, BaseLoss::bpr, BaseLoss::clamped_bce}) {
    head.weights.clear();
    const HeadOutcome without = run(context, head, loss);
    head.weights.assign(6, 1.0F);
    EXPECT_EQ(run(context, head, loss).d_logits, without.d_logits);
  }
}

TEST(LossHead, SumsLossAndTelemetry) {
  const Context context(Device::cpu);
  Head head;
  const HeadOutcome out = run(context, head, BaseLoss::bce);
  head.lambda = 0;
  const std::vector<double> s(head.logits.begin(), head.logits.end());
  EXPECT_NEAR(out.totals[GateColumns::loss], 6 * reference_loss(head, BaseLoss::bce, s), 1e-4);
  EXPECT_EQ(out.totals[GateColumns::rows], 6);
  EXPECT_EQ(out.totals[GateColumns::pairs], 2);
  EXPECT_EQ(out.totals[GateColumns::active], 1);
  EXPECT_EQ(out.totals[GateColumns::probes], 1);
  const HeadOutcome twos = run(context, head, BaseLoss::bpr);
  EXPECT_EQ(twos.totals[GateColumns::rows], 6);
  EXPECT_NEAR(twos.totals[GateColumns::loss], 6 * reference_loss(head, BaseLoss::bpr, s), 1e-4);
}

TEST(LossHead, AShutGateAndAProbeLeaveTheModelAlone) {
  const Context context(Device::cpu);
  const HeadOutcome shut = run(context, Head(), BaseLoss::bce, rule_id("never"));
  for (std::size_t k = 6; k < 12; ++k) EXPECT_EQ(shut.d_logits[k], 0.0F) << k;
  const HeadOutcome open = run(context, Head(), BaseLoss::bce);
  EXPECT_LT(open.d_logits[6], 0.0F);
  EXPECT_EQ(open.d_logits[10], 0.0F);
}

/// With the gate sigmoid(theta . [...]) at theta = 0 alpha is 1/2, and its gradient by the uncertainty's
/// weight is 1/4 of that uncertainty: of the objective hinge, lambda * hinge * (q_a + q_b) / 8 a pair.
void expect_uncertainties_of_passes(const Context& context) {
  Head head;
  head.uncertainties.assign(head.logits.size(), kNan);  // no other row's is read
  head.uncertainty = Uncertainty::mc_dropout;
  head.pairs.resize(1);
  head.uncertainties[6] = 0.25F;
  head.uncertainties[7] = 0.75F;
  const HeadOutcome out = run(context, head, BaseLoss::bce, rule_id("learned"));
  const double hinge = 1 - (static_cast<double>(0.2F) - static_cast<double>(0.5F));
  EXPECT_NEAR(out.totals[GateColumns::theta + 2], 0.5 * hinge * (0.25 + 0.75) / 8, 1e-6);
  EXPECT_NEAR(out.d_logits[7], 0.5 * 0.5 / 6, 1e-6);

  Head given = Head(), made = Head();
  for (const float logit : given.logits) {
    given.uncertainties.push_back(uncertainty_of(logit, Uncertainty::entropy));
  }
  given.uncertainty = Uncertainty::mc_dropout;
  made.uncertainty = Uncertainty::entropy;
  const HeadOutcome a = run(context, given, BaseLoss::bce, rule_id("mlp"), objective_id("agreement")),
                    b = run(context, made, BaseLoss::bce, rule_id("mlp"), objective_id("agreement"));
  EXPECT_TRUE(all_near(a.d_logits, b.d_logits, {1e-6, 1e-5}));
  EXPECT_TRUE(all_near(a.totals, b.totals, {1e-6, 1e-5}));

  made.uncertainty = Uncertainty::mc_dropout;  // without passes
  EXPECT_TRUE(std::isnan(run(context, made, BaseLoss::bce, rule_id("learned")).d_logits[6]));
}

TEST(LossHead, TakesTheUncertaintiesOfPasses) {
  expect_uncertainties_of_passes(Context(Device::cpu));
}

TEST(LossHeadCuda, TakesTheUncertaintiesOfPasses) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_uncertainties_of_passes(Context(Device::cuda));
}

TEST(LossHead, ProbesTeachTheGate) {
  const Context context(Device::cpu);
  // The LLM contradicts the probe: closing the gate lowers the objective, so its gradient is positive.
  const HeadOutcome out = run(context, Head(), BaseLoss::bce, rule_id("learned"), objective_id("agreement"));
  EXPECT_GT(out.totals[GateColumns::theta + 3], 0.0);
  const HeadOutcome hinge = run(context, Head(), BaseLoss::bce, rule_id("learned"), objective_id("hinge"));
  EXPECT_GT(hinge.totals[GateColumns::theta + 3], 0.0);
}

/// The objective `alignment` in double precision: minus the guiding pairs' cosines, each times the mean of
/// alpha over its two items, of users and items whose signals are 0.
double reference_alignment(const Head& head, const std::vector<double>& theta) {
  const auto alpha = [&](std::int32_t row) {
    const double logit = static_cast<double>(head.logits[static_cast<std::size_t>(row)]);
    return sigmoid_of(theta[2] * 2 * sigmoid_of(-std::fabs(logit)) + theta[3]);
  };
  double sum = 0;
  for (std::size_t k = 0; k < head.pairs.size(); ++k) {
    const HeadPair& both = head.pairs[k];
    if (both.probe != 0) continue;
    sum -= static_cast<double>(head.cosines[k]) * 0.5 * (alpha(both.row_a) + alpha(both.row_b));
  }
  return sum;
}

TEST(LossHead, AlignmentFollowsTheCosines) {
  const Context context(Device::cpu);
  Head head;
  head.cosines = {0.8F, -0.3F, 0.9F};  // the probe's has no say
  const int rule = rule_id("learned");
  const HeadOutcome out = run(context, head, BaseLoss::bce, rule, objective_id("alignment"));
  const std::vector<float> initial = initial_gate_params(rule, 1);
  std::vector<double> theta(initial.begin(), initial.end());
  ASSERT_EQ(theta.size(), 4U);
  const std::span<const double> gradient(out.totals.data() + GateColumns::theta, theta.size());
  EXPECT_LT(gradient_error(theta, gradient, [&] { return reference_alignment(head, theta); }), 1e-5);
  EXPECT_LT(gradient[3], 0.0) << "opening the gate pays";
}

LossHead args_of(const Head& head, BaseLoss loss, const Buffer<float>& logits, const Buffer<float>& targets,
                 const Buffer<HeadPair>& pairs) {
  LossHead args;
  args.logits = logits.data();
  args.targets = targets.data();
  args.rows = static_cast<std::int64_t>(head.targets.size());
  args.loss = loss;
  args.pairs = pairs.data();
  args.n_pairs = static_cast<std::int64_t>(head.pairs.size());
  args.gate.margin = head.margin;
  return args;
}

void expect_split_gradients(const Context& context) {
  Head head;
  head.logits[4] = -9.0F, head.logits[5] = 8.0F;
  const Buffer<float> logits(context, std::span<const float>(head.logits)),
      targets(context, std::span<const float>(head.targets));
  const Buffer<HeadPair> pairs(context, std::span<const HeadPair>(head.pairs));
  for (const BaseLoss loss : {BaseLoss::bce, BaseLoss::bpr, BaseLoss::clamped_bce}) {
    Buffer<float> d_base(context, head.logits.size()), d_hinge(context, head.logits.size());
    LossHead args = args_of(head, loss, logits, targets, pairs);
    args.d_logits = d_base.data();
    run(context, SplitGradients{.head = args, .d_hinge = d_hinge.data()});
    Head alone = head;
    alone.lambda = 0;
    EXPECT_TRUE(all_near(d_base.to_host(context), reference_gradient(alone, loss), {2e-6, 1e-3}));
    // Of the pairs one alone has a hinge; the second keeps its margin and the third is a probe.
    EXPECT_EQ(d_hinge.to_host(context), (std::vector<float>{0, 0, 0, 0, 0, 0, -1, 1, 0, 0, 0, 0}));
  }
}

void expect_pair_cosines(const Context& context) {
  Head head;
  head.margin = 10;  // both guiding pairs pull
  head.pairs[0].row = 5;
  head.pairs[1].row = 2;
  const std::int64_t rows = 12, width = 37;
  const std::vector<float> numbers = TestNumbers(4).many(2 * rows * width, -1, 1);
  const auto half = static_cast<std::ptrdiff_t>(numbers.size() / 2);
  const std::vector<float> base(numbers.begin(), numbers.begin() + half),
      hinge(numbers.begin() + half, numbers.end());
  const Buffer<float> logits(context, std::span<const float>(head.logits)),
      targets(context, std::span<const float>(head.targets));
  const Buffer<HeadPair> pairs(context, std::span<const HeadPair>(head.pairs));
  for (const BaseLoss loss : {BaseLoss::bce, BaseLoss::bpr}) {
    Buffer<float> cosines(context, head.pairs.size());
    run(context, PairCosines{.head = args_of(head, loss, logits, targets, pairs),
                             .base = Tensor<float>::from(context, rows, width, base),
                             .hinge = Tensor<float>::from(context, rows, width, hinge),
                             .cosines = cosines.data()});
    const auto reference = [&](const std::vector<int>& of_base, const HeadPair& both) {
      double product = 0, x2 = 0, y2 = 0;
      for (std::int64_t d = 0; d < width; ++d) {
        const auto at = [&](const std::vector<float>& from, int row) {
          return static_cast<double>(from[static_cast<std::size_t>(row * width + d)]);
        };
        double x = 0;
        for (const int row : of_base) x += at(base, row);
        const double y = at(hinge, both.row_a) + at(hinge, both.row_b);
        product += x * y;
        x2 += x * x;
        y2 += y * y;
      }
      return product / std::sqrt(x2 * y2);
    };
    const std::vector<float> got = cosines.to_host(context);
    const bool triples = loss == BaseLoss::bpr;
    EXPECT_TRUE(near(got[0], reference(triples ? std::vector{4, 5} : std::vector{5}, head.pairs[0]), {1e-6}));
    EXPECT_TRUE(near(got[1], reference(triples ? std::vector{2, 3} : std::vector{2}, head.pairs[1]), {1e-6}));
    EXPECT_EQ(got[2], 0.0F);
  }
}

TEST(LossHead, SplitGradientsAreThoseOfThePartsOfTheLoss) {
  expect_split_gradients(Context(Device::cpu));
}
TEST(LossHead, CosinesOfPairs) {
  expect_pair_cosines(Context(Device::cpu));
}

TEST(LossHead, ClampedCrossEntropyForgetsTheConfidentlyWrong) {
  const Context context(Device::cpu);
  Head head;
  head.targets = {0, 0, 0, 0, 0, 0};
  head.logits[5] = 30.0F;  // p rounds to 1
  EXPECT_EQ(run(context, head, BaseLoss::clamped_bce).d_logits[5], 0.0F);
  EXPECT_NEAR(run(context, head, BaseLoss::bce).d_logits[5], 1.0 / 6, 1e-6);
}

TEST(LossHead, ExtremeLogitsStayFiniteAndNanReachesTheGradient) {
  const Context context(Device::cpu);
  Head head;
  head.logits[0] = 1e30F;
  head.logits[1] = -1e30F;
  for (const BaseLoss loss : {BaseLoss::bce, BaseLoss::bpr, BaseLoss::clamped_bce}) {
    for (const float d : run(context, head, loss).d_logits) EXPECT_TRUE(std::isfinite(d));
  }
  head.logits[2] = kNan;
  head.logits[6] = kNan;
  const HeadOutcome out = run(context, head, BaseLoss::bce);
  EXPECT_TRUE(std::isnan(out.d_logits[2]));
  EXPECT_TRUE(std::isnan(out.totals[GateColumns::loss]));
  EXPECT_TRUE(std::isnan(out.totals[GateColumns::pair_hinge]));
}

TEST(LossHead, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu);
  Head head;
  head.targets.resize(5);
  EXPECT_THAT(error_of([&] { run(context, head, BaseLoss::bpr); }), testing::HasSubstr("two by two"));
}

TEST(LossHeadCuda, GradientsAreThoseOfTheLoss) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_gradients(Context(Device::cuda));
}
TEST(LossHeadCuda, CosinesOfPairs) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_split_gradients(Context(Device::cuda));
  expect_pair_cosines(Context(Device::cuda));
}

}  // namespace
}  // namespace sllmr
