// Every registered rule and objective: range, derivatives against central differences, meaning.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/gates/gate.h"
#include "kernels/gates/parts.h"
#include "kernels/gates/registry.h"
#include "tests/kernels/reference/mf_reference.h"
#include "tests/support/compare.h"
#include "tests/support/gates.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

// Central differences in double: truncation and rounding meet near 1e-10.
constexpr double kStep = 1e-5;
constexpr Tolerance kDerivative{1e-9, 1e-6};

GateSignals random_signals(TestNumbers& numbers) {
  auto z = make_signals<GateSignals>(static_cast<float>(numbers.id(0, 1)), [&] { return numbers.in(0, 1); });
  z.tail = static_cast<float>(numbers.id(0, 1));
  return z;
}

PairContext random_pair(TestNumbers& numbers, bool probe) {
  return {.lambda = numbers.in(0.01F, 2),
          .hinge = probe ? 0 : numbers.in(0, 3),
          .cosine = numbers.in(-1, 1),
          .probe = probe,
          .agreement = static_cast<float>(numbers.id(-1, 1)),
          .mean_alpha = numbers.in(0, 1),
          .mean_hinge = numbers.in(0, 1),
          .price = numbers.in(0, 0.5F),
          .budget_weight = numbers.in(0, 2),
          .budget_target = numbers.in(0, 1)};
}

std::vector<double> random_theta(TestNumbers& numbers, int n) {
  std::vector<double> theta;
  for (int k = 0; k < n; ++k) theta.push_back(static_cast<double>(numbers.in(-2, 2)));
  return theta;
}

class EveryRule : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Registry, EveryRule, testing::Range(0, GateRules::count), rule_test_name);

struct CheckDerivatives {
  TestNumbers& numbers;

  template <class Rule>
  void operator()() {
    if constexpr (Rule::n_params > 0) {
      constexpr int kParams = Rule::n_params;
      for (int trial = 0; trial < 50; ++trial) {
        const GateSignals z = random_signals(numbers);
        std::vector<double> theta = random_theta(numbers, kParams);
        const auto dual = Rule::alpha(z, SeededTheta<double, kParams>{theta.data(), 0});
        for (int k = 0; k < kParams; ++k) {
          const double at = theta[static_cast<std::size_t>(k)];
          theta[static_cast<std::size_t>(k)] = at + kStep;
          const double above = Rule::alpha(z, PlainTheta<double>{theta.data()});
          theta[static_cast<std::size_t>(k)] = at - kStep;
          const double below = Rule::alpha(z, PlainTheta<double>{theta.data()});
          theta[static_cast<std::size_t>(k)] = at;
          EXPECT_TRUE(near(dual.slope[k], (above - below) / (2 * kStep), kDerivative)) << "parameter " << k;
        }
      }
    }
  }
};

TEST_P(EveryRule, DualNumbersGiveTheDerivative) {
  TestNumbers numbers(1);
  CheckDerivatives check{numbers};
  GateRules::visit(GetParam(), check);
}

struct CheckWindows {
  TestNumbers& numbers;

  template <class Rule>
  void operator()() {
    if constexpr (Rule::n_params > 0) {
      // On CUDA each lane seeds a stretch of the parameters; the last stretch may reach past the end.
      constexpr int kParams = Rule::n_params, kShare = (kParams + 31) / 32;
      const GateSignals z = random_signals(numbers);
      const std::vector<double> theta = random_theta(numbers, kParams);
      const auto whole = Rule::alpha(z, SeededTheta<double, kParams>{theta.data(), 0});
      for (int k = 0; k < kParams; ++k) {
        const int first = k / kShare * kShare;
        const auto part = Rule::alpha(z, SeededTheta<double, kShare>{theta.data(), first});
        EXPECT_EQ(part.slope[k - first], whole.slope[k]);
        EXPECT_EQ(part.value, whole.value);
      }
    }
  }
};

TEST_P(EveryRule, AStretchOfSeedsGivesThatStretchOfTheGradient) {
  TestNumbers numbers(2);
  CheckWindows check{numbers};
  GateRules::visit(GetParam(), check);
}

double registered_alpha(int rule, const GateSignals& z, const std::vector<double>& theta) {
  return reference::registered_alpha(gate_rules()[static_cast<std::size_t>(rule)].name, z, theta);
}

TEST_P(EveryRule, AlphaStaysInTheUnitInterval) {
  TestNumbers numbers(3);
  for (int trial = 0; trial < 500; ++trial) {
    const GateSignals z = random_signals(numbers);
    std::vector<double> theta =
        random_theta(numbers, gate_rules()[static_cast<std::size_t>(GetParam())].n_params);
    if (trial % 5 == 0) {
      for (double& x : theta) x *= 500;  // saturates, and must not overflow
    }
    const double alpha = registered_alpha(GetParam(), z, theta);
    EXPECT_GE(alpha, 0);
    EXPECT_LE(alpha, 1);
  }
}

TEST_P(EveryRule, IsItsReference) {
  const std::string_view name = gate_rules()[static_cast<std::size_t>(GetParam())].name;
  if (!reference::knows_rule(name)) GTEST_SKIP() << "not written down in tests/kernels/reference";
  TestNumbers numbers(4);
  for (int trial = 0; trial < 100; ++trial) {
    const GateSignals z = random_signals(numbers);
    const std::vector<double> theta =
        random_theta(numbers, gate_rules()[static_cast<std::size_t>(GetParam())].n_params);
    EXPECT_TRUE(
        near(registered_alpha(GetParam(), z, theta), reference::alpha(name, z, theta), {1e-12, 1e-12}));
  }
}

TEST_P(EveryRule, StartsFromRepeatableParameters) {
  const auto n = static_cast<std::size_t>(gate_rules()[static_cast<std::size_t>(GetParam())].n_params);
  const std::vector<float> initial = initial_gate_params(GetParam(), 7);
  EXPECT_EQ(initial.size(), n);
  EXPECT_EQ(initial, initial_gate_params(GetParam(), 7));
  EXPECT_LE(n, static_cast<std::size_t>(kMaxGateParams));
}

class EveryObjective : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Registry, EveryObjective, testing::Range(0, GateObjectives::count),
                         objective_test_name);

struct Loss {
  double alpha;
  const PairContext& pair;
  double value = 0, slope = 0;

  template <class Objective>
  void operator()() {
    Dual<double, 1> seeded(alpha);
    seeded.slope[0] = 1;
    const auto loss = Objective::loss(seeded, pair);
    value = loss.value;
    slope = loss.slope[0];
  }
};

Loss loss_at(int objective, double alpha, const PairContext& pair) {
  Loss visitor{alpha, pair};
  GateObjectives::visit(objective, visitor);
  return visitor;
}

TEST_P(EveryObjective, DualNumbersGiveTheSlope) {
  TestNumbers numbers(5);
  for (int trial = 0; trial < 500; ++trial) {
    const PairContext pair = random_pair(numbers, trial % 3 == 0);
    const auto alpha = static_cast<double>(numbers.in(0.01F, 0.99F));
    const double above = loss_at(GetParam(), alpha + kStep, pair).value;
    const double below = loss_at(GetParam(), alpha - kStep, pair).value;
    EXPECT_TRUE(near(loss_at(GetParam(), alpha, pair).slope, (above - below) / (2 * kStep), kDerivative));
  }
}

TEST_P(EveryObjective, IsItsReference) {
  const GatePart& part = gate_objectives()[static_cast<std::size_t>(GetParam())];
  if (!reference::knows_objective(part.name)) GTEST_SKIP() << "not written down in tests/kernels/reference";
  TestNumbers numbers(6);
  for (int trial = 0; trial < 500; ++trial) {
    const bool probe = part.uses_probes && trial % 2 == 0;
    const PairContext pair = random_pair(numbers, probe);
    const reference::PairFacts facts{pair.lambda,        pair.hinge,        pair.cosine,     pair.probe,
                                     pair.agreement,     pair.mean_alpha,   pair.mean_hinge, pair.price,
                                     pair.budget_weight, pair.budget_target};
    const reference::Sides sides{static_cast<double>(numbers.in(0.01F, 0.99F)),
                                 static_cast<double>(numbers.in(0.01F, 0.99F)), trial % 3 == 0};
    EXPECT_TRUE(near(reference::registered_gate_loss(part.name, sides, facts),
                     reference::gate_loss(part.name, sides, facts), {1e-5, 1e-5}));
    EXPECT_TRUE(near(reference::registered_pair_alpha(part.name, sides),
                     reference::pair_alpha(part.name, sides), {1e-6, 1e-6}));
    EXPECT_TRUE(near(reference::registered_model_weight(part.name, sides, facts),
                     reference::model_weight(part.name, sides, facts), {1e-5, 1e-5}));
  }
}

struct SlopesOfSides {
  const reference::Sides& sides;
  const PairContext& pair;
  double slope[2] = {};

  template <class Objective>
  void operator()() {
    Dual<double, 2> a(sides.a), b(sides.b);
    a.slope[0] = b.slope[1] = 1;
    const auto loss = Objective::loss(Objective::of_pair(a, b, sides.least), pair);
    slope[0] = loss.slope[0];
    slope[1] = loss.slope[1];
  }
};

TEST_P(EveryObjective, DualNumbersGiveTheSlopesOfBothSides) {
  TestNumbers numbers(9);
  const std::string_view name = gate_objectives()[static_cast<std::size_t>(GetParam())].name;
  for (int trial = 0; trial < 300; ++trial) {
    const PairContext pair = random_pair(numbers, trial % 2 == 0);
    const reference::PairFacts facts{pair.lambda,        pair.hinge,        pair.cosine,     pair.probe,
                                     pair.agreement,     pair.mean_alpha,   pair.mean_hinge, pair.price,
                                     pair.budget_weight, pair.budget_target};
    const reference::Sides sides{static_cast<double>(numbers.in(0.05F, 0.45F)),
                                 static_cast<double>(numbers.in(0.55F, 0.95F)), trial % 3 == 0};
    SlopesOfSides visitor{sides, pair};
    GateObjectives::visit(GetParam(), visitor);
    for (int side = 0; side < 2; ++side) {
      reference::Sides above = sides, below = sides;
      (side == 0 ? above.a : above.b) += kStep;
      (side == 0 ? below.a : below.b) -= kStep;
      const double slope = (reference::registered_gate_loss(name, above, facts) -
                            reference::registered_gate_loss(name, below, facts)) /
                           (2 * kStep);
      EXPECT_TRUE(near(visitor.slope[side], slope, kDerivative)) << "side " << side;
    }
  }
}

TEST_P(EveryObjective, ASideThatIsNaNIsNeverHidden) {
  for (const bool least : {false, true}) {
    const reference::PairFacts facts{};
    const std::string_view name = gate_objectives()[static_cast<std::size_t>(GetParam())].name;
    for (const reference::Sides& sides : {reference::Sides{kNan, 0.7, least}, {0.7, kNan, least}}) {
      EXPECT_TRUE(std::isnan(reference::registered_pair_alpha(name, sides)));
      EXPECT_TRUE(std::isnan(reference::registered_model_weight(name, sides, facts)));
    }
  }
}

TEST(Objectives, WhatOneReadsIsFoundOut) {
  const auto with = [](bool GatePart::*property) {
    std::vector<std::string_view> names;
    for (const GatePart& objective : gate_objectives()) {
      if (objective.*property && reference::knows_objective(objective.name)) names.push_back(objective.name);
    }
    return names;
  };
  using Names = std::vector<std::string_view>;
  EXPECT_EQ(with(&GatePart::uses_probes), (Names{"agreement", "calibrated"}));
  EXPECT_EQ(with(&GatePart::uses_hinge), (Names{"hinge", "normalised", "budget"}));
  EXPECT_EQ(with(&GatePart::uses_cosine), Names{"alignment"});
  EXPECT_EQ(with(&GatePart::uses_price), Names{"agreement"});
  EXPECT_EQ(with(&GatePart::uses_budget), Names{"budget"});
}

TEST(Objectives, CalibratedIsLeastWhereAlphaIsHowOftenTheLlmIsRight) {
  // Of 100 probes 70 agree: a proper scoring rule is least at .7. Ties and guiding pairs say nothing.
  double best = 2, least = 1e9;
  for (double alpha = 0.05; alpha < 1; alpha += 0.05) {
    double sum = 0;
    for (int k = 0; k < 120; ++k) {
      PairContext pair{};
      pair.probe = k < 110;
      pair.agreement = k < 70 || k >= 110 ? 1.0F : k < 100 ? -1.0F : 0.0F;
      const Loss loss = loss_at(objective_id("calibrated"), alpha, pair);
      sum += loss.value;
      if (k >= 100) {
        EXPECT_EQ(loss.slope, 0);
      }
    }
    if (sum < least) least = sum, best = alpha;
  }
  EXPECT_NEAR(best, 0.7, 1e-9);
}

TEST(Objectives, CalibratedBelievesTheLesserSideBeyondChance) {
  const auto weight = [](double a, double b, bool least) {
    return reference::registered_model_weight("calibrated", {a, b, least}, reference::PairFacts{});
  };
  EXPECT_EQ(weight(0.9, 0.5, true), 0);
  EXPECT_EQ(weight(0.3, 1.0, true), 0) << "worse than a coin";
  EXPECT_NEAR(weight(0.9, 0.75, true), 0.5, 1e-6);
  EXPECT_NEAR(weight(0.9, 0.75, false), 0.65, 1e-6);
}

class EveryPenalty : public testing::TestWithParam<int> {
 protected:
  std::string_view name() const { return gate_penalties()[static_cast<std::size_t>(GetParam())].name; }
};
INSTANTIATE_TEST_SUITE_P(Registry, EveryPenalty, testing::Range(0, GatePenalties::count), penalty_test_name);

struct Pushes {
  double s_a, s_b;
  const GuidingPair& pair;
  double slope[2] = {};

  template <class Penalty>
  void operator()() {
    Dual<double, 2> a(s_a), b(s_b);
    a.slope[0] = b.slope[1] = 1;
    const auto loss = Penalty::loss(a, b, pair);
    slope[0] = loss.slope[0];
    slope[1] = loss.slope[1];
  }
};
Pushes pushes(int penalty, double s_a, double s_b, const GuidingPair& pair) {
  Pushes visitor{s_a, s_b, pair};
  GatePenalties::visit(penalty, visitor);
  return visitor;
}

TEST_P(EveryPenalty, IsItsReferenceAndItsSlopesAreItsDerivatives) {
  ASSERT_TRUE(reference::knows_penalty(name())) << "write it down in tests/kernels/reference";
  TestNumbers numbers(11);
  for (int trial = 0; trial < 500; ++trial) {
    const GuidingPair pair{numbers.in(0, 1.2F), numbers.in(0, 1), numbers.in(0.5F, 1), numbers.in(0, 0.5F)};
    const double s_a = static_cast<double>(numbers.in(-4, 4)), s_b = static_cast<double>(numbers.in(-4, 4));
    const reference::PenaltyFacts facts{pair.weight, pair.margin, pair.score_a, pair.score_b};
    EXPECT_TRUE(near(reference::registered_penalty(name(), s_a, s_b, facts),
                     reference::penalty(name(), s_a, s_b, facts), {1e-6, 1e-6}));
    const Pushes push = pushes(GetParam(), s_a, s_b, pair);
    const auto slope = [&](double d_a, double d_b) {
      return (reference::penalty(name(), s_a + d_a, s_b + d_b, facts) -
              reference::penalty(name(), s_a - d_a, s_b - d_b, facts)) /
             (2 * kStep);
    };
    EXPECT_TRUE(near(push.slope[0], slope(kStep, 0), {1e-6, 1e-6}));
    EXPECT_TRUE(near(push.slope[1], slope(0, kStep), {1e-6, 1e-6}));
  }
}

TEST_P(EveryPenalty, APairWithoutWeightNeverPulls) {
  for (const double gap : {-5.0, 0.0, 5.0}) {
    const Pushes push = pushes(GetParam(), gap, 0.3, {0, 0.4F, 0.9F, 0.1F});
    EXPECT_EQ(push.slope[0], 0);
    EXPECT_EQ(push.slope[1], 0);
  }
}

TEST_P(EveryPenalty, ALogitOrAWeightThatIsNaNIsNeverHidden) {
  for (const auto& [s_a, weight] : {std::pair(kNan, 0.5F), {0.2, static_cast<float>(kNan)}}) {
    const reference::PenaltyFacts facts{static_cast<double>(weight), 0.4, 0.9, 0.1};
    EXPECT_TRUE(std::isnan(reference::registered_penalty(name(), static_cast<double>(s_a), 0.3, facts)));
  }
}

TEST(Penalties, WhetherOneReadsTheMarginIsFoundOut) {
  for (const GatePart& penalty : gate_penalties()) {
    if (reference::knows_penalty(penalty.name)) {
      EXPECT_EQ(penalty.uses_margin, penalty.name == "hinge") << penalty.name;
    }
  }
}

TEST(Penalties, SoftPullsUntilTheModelIsAsSureAsTheLlmDeserves) {
  const int soft = penalty_id("soft");
  const GuidingPair pair{0.6F, 0, 1, 0};  // right with probability .8
  const double rest = std::log(0.8 / 0.2);
  EXPECT_EQ(pushes(soft, rest + 1e-6, 0, pair).slope[0], 0);
  EXPECT_LT(pushes(soft, rest - 1e-3, 0, pair).slope[0], 0);
  EXPECT_NEAR(pushes(soft, 0, 0, pair).slope[0], -2 * (0.8 - 0.5), 1e-6);
  EXPECT_NEAR(pushes(soft, 0, 0, pair).slope[1], 2 * (0.8 - 0.5), 1e-6);
}

TEST(Penalties, PointwisePushesTheTwoItemsByDifferentAmounts) {
  const Pushes push = pushes(penalty_id("pointwise"), 0, 0, {1, 0, 0.9F, 0.4F});
  EXPECT_NEAR(push.slope[0], 0.5 - 0.9, 1e-6);
  EXPECT_NEAR(push.slope[1], 0.5 - 0.4, 1e-6);
}

TEST(Objectives, ThePapersHingeNeverOpensTheGate) {
  TestNumbers numbers(7);
  for (int trial = 0; trial < 1000; ++trial) {
    const PairContext pair = random_pair(numbers, trial % 4 == 0);
    const double slope = loss_at(objective_id("hinge"), static_cast<double>(numbers.in(0, 1)), pair).slope;
    EXPECT_GE(slope, 0);
    EXPECT_EQ(slope > 0, pair.hinge > 0);
  }
}

TEST(Objectives, AgreementOpensExactlyWhereTheExpectedAgreementBeatsThePrice) {
  for (const float price : {0.0F, 0.1F, 0.4F}) {
    for (int agreeing = 0; agreeing <= 100; agreeing += 3) {
      // Of 100 probes, `agreeing` agree, 20 at most tie, the others disagree. The loss is linear in alpha:
      // its minimiser over [0, 1] is 1 where the summed slope is negative.
      const int tied = std::min(20, 100 - agreeing);
      double slope = 0;
      for (int k = 0; k < 100; ++k) {
        PairContext pair{};
        pair.probe = true;
        pair.price = price;
        pair.agreement = k < agreeing ? 1.0F : k < agreeing + tied ? 0.0F : -1.0F;
        slope += loss_at(objective_id("agreement"), 0.5, pair).slope;
      }
      const double expected = (2 * agreeing + tied - 100) / 100.0;
      if (std::fabs(expected - static_cast<double>(price)) < 1e-6) continue;
      EXPECT_EQ(slope<0, expected> static_cast<double>(price)) << agreeing << " of 100, price " << price;
    }
  }
}

TEST(Objectives, AlignmentOpensWhereThePenaltyPullsWithTheBaseLoss) {
  PairContext pair{};
  for (const float cosine : {-0.8F, 0.3F}) {
    pair.cosine = cosine;
    EXPECT_EQ(loss_at(objective_id("alignment"), 0.5, pair).slope<0, cosine> 0);
  }
}

TEST(Objectives, NormalisedOpensWherePairsFitBetterThanTheAverage) {
  PairContext pair{};
  pair.lambda = 0.5F;
  pair.mean_alpha = 0.5F;
  pair.mean_hinge = 0.2F;  // the average pair's hinge, weighted by alpha, is 0.4
  for (const float hinge : {0.0F, 0.39F, 0.41F, 2.0F}) {
    pair.hinge = hinge;
    EXPECT_EQ(loss_at(objective_id("normalised"), 0.5, pair).slope < 0, hinge < 0.4F) << hinge;
  }
}

TEST(Objectives, BudgetOpensAGateThatSpendsTooLittle) {
  PairContext pair{};
  pair.budget_weight = 1;
  pair.budget_target = 0.3F;
  for (const float mean : {0.1F, 0.5F}) {
    pair.mean_alpha = mean;
    EXPECT_EQ(loss_at(objective_id("budget"), 0.5, pair).slope < 0, mean < 0.3F);
  }
}

TEST(Signals, UncertaintyIsItsDefinition) {
  for (const auto& [kind, name, summary, needs_passes] : kUncertainties) {
    if (needs_passes) continue;
    for (double logit = -40; logit <= 40; logit += 0.37) {
      const auto q = static_cast<double>(uncertainty_of(static_cast<float>(logit), kind));
      const double expected = reference::uncertainty(static_cast<double>(static_cast<float>(logit)), kind);
      EXPECT_TRUE(near(q, expected, {1e-12, 2e-6})) << logit;
    }
    EXPECT_EQ(uncertainty_of(0, kind), 1.0F);
    EXPECT_EQ(uncertainty_of(1000, kind), 0.0F);
    EXPECT_EQ(uncertainty_of(-1000, kind), 0.0F);
  }
}

TEST(Signals, AnUncertaintyOfPassesIsTheRowsAndNeverTheLogits) {
  const float of_passes[] = {0.25F, 0.75F};
  for (const UncertaintyInfo& info : kUncertainties) {
    EXPECT_EQ(uncertainty_of(of_passes, 1, 2.0F, info.kind), 0.75F) << info.name;
    const float of_logit = uncertainty_of(nullptr, 1, 2.0F, info.kind);
    EXPECT_EQ(std::isnan(of_logit), info.needs_passes) << info.name;
    if (info.needs_passes) continue;
    EXPECT_EQ(of_logit, uncertainty_of(2.0F, info.kind)) << info.name;
  }
}

TEST(Registry, UncertaintiesStandInTheirOrder) {
  std::set<std::string_view> names;
  for (const UncertaintyInfo& info : kUncertainties) {
    EXPECT_EQ(&info_of(info.kind), &info);
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.summary.empty()) << info.name;
  }
}

TEST_P(EveryRule, SaysWhetherItReadsTheUncertainty) {
  TestNumbers numbers(7);
  const GatePart& rule = gate_rules()[static_cast<std::size_t>(GetParam())];
  GateSignals z = random_signals(numbers);
  z.uncertainty = kNan;
  const double alpha = registered_alpha(GetParam(), z, random_theta(numbers, rule.n_params));
  EXPECT_EQ(std::isnan(alpha), rule.uses_uncertainty);
}

TEST_P(EveryRule, SaysWhetherItReadsTheLogit) {
  TestNumbers numbers(7);
  const GatePart& rule = gate_rules()[static_cast<std::size_t>(GetParam())];
  GateSignals z = random_signals(numbers);
  z.logit = kNan;
  const double alpha = registered_alpha(GetParam(), z, random_theta(numbers, rule.n_params));
  EXPECT_EQ(std::isnan(alpha), rule.uses_logit);
}

TEST(Registry, EveryGateHasAClassOfKernels) {
  for (const GatePart& rule : gate_rules()) {
    for (const GatePart& objective : gate_objectives()) {
      for (const GatePart& penalty : gate_penalties()) {
        GateArgs gate;
        gate.rule = rule.id;
        gate.objective = objective.id;
        gate.penalty = penalty.id;
        const bool narrow = has_parts_of<NarrowParts>(gate);
        EXPECT_NE(narrow, has_parts_of<WideParts>(gate)) << rule.name;
        EXPECT_TRUE(narrow || !has_parts_of<LeanParts>(gate)) << rule.name;
        EXPECT_TRUE(has_parts_of<EveryPart>(gate));
      }
    }
  }
  GateArgs paper;
  paper.rule = rule_id("learned");
  EXPECT_TRUE(has_parts_of<LeanParts>(paper));
  paper.penalty = penalty_id("soft");
  EXPECT_FALSE(has_parts_of<LeanParts>(paper));
}

TEST(Registry, WhatAnObjectiveAsksForIsThere) {
  for (const GatePart& objective : gate_objectives()) {
    EXPECT_NE(find_gate_part(gate_rules(), objective.rule), nullptr) << objective.name;
    EXPECT_NE(find_gate_part(gate_penalties(), objective.penalty), nullptr) << objective.name;
    EXPECT_TRUE(objective.uses_probes || !objective.is_probability) << objective.name;
  }
}

TEST(Signals, TheLogitIsKeptWithinThree) {
  for (const float logit : {-40.0F, -3.0F, -1.5F, 0.0F, 2.5F, 7.0F}) {
    EXPECT_EQ(logit_signal(logit), std::clamp(logit, -3.0F, 3.0F));
  }
  EXPECT_TRUE(std::isnan(logit_signal(NAN)));
}

TEST(Signals, DrawsHaveTheMeanThatIsAskedFor) {
  std::vector<UserSignals> users(200);
  std::vector<ItemSignals> items(200);
  GateArgs gate;
  gate.users = users.data();
  gate.items = items.data();
  gate.rule = rule_id("random");
  for (const double wanted : {0.0, 0.1, 0.5, 0.8, 1.0}) {
    gate.draw_power = static_cast<float>(1 / wanted - 1);
    double sum = 0;
    for (Id user = 0; user < 200; ++user) {
      for (Id item = 0; item < 200; ++item) {
        const float draw = alpha_of(gate, user, item, gate_signals(gate, user, item, 0));
        ASSERT_GE(draw, 0.0F);
        ASSERT_LE(draw, 1.0F);
        sum += static_cast<double>(draw);
      }
    }
    EXPECT_NEAR(sum / 40000, wanted, 0.005);
  }
}

TEST(Signals, AnOracleIsToldWhatNoiseReplaced) {
  std::vector<UserSignals> users(100);
  std::vector<ItemSignals> items(100);
  for (std::size_t k = 0; k < users.size(); ++k) {
    users[k].cold = k % 2 == 0 ? 1.0F : 0.0F;
    items[k].tail = k % 5 == 0 ? 1.0F : 0.0F;
  }
  GateArgs gate;
  gate.users = users.data();
  gate.items = items.data();
  gate.rule = rule_id("oracle");
  gate.seed = 7;
  for (const bool warm_only : {false, true}) {
    for (const bool head_only : {false, true}) {
      gate.noise = {0.3, warm_only, head_only};
      double replaced = 0, reached = 0;
      for (Id user = 0; user < 100; ++user) {
        for (Id item = 0; item < 100; ++item) {
          const bool in = !(warm_only && user % 2 == 0) && !(head_only && item % 5 == 0);
          const float draw = alpha_of(gate, user, item, gate_signals(gate, user, item, 0));
          ASSERT_TRUE(draw == 1.0F || (in && draw == 0.0F));
          reached += in ? 1 : 0;
          replaced += 1.0 - static_cast<double>(draw);
        }
      }
      EXPECT_NEAR(replaced / reached, 0.3, 0.03);
    }
  }
}

TEST(Signals, OneUserInEightIsHeldOut) {
  GateArgs gate;
  int held = 0;
  for (Id user = 1; user <= 80000; ++user) held += held_out(gate, user) ? 1 : 0;
  EXPECT_EQ(held, 0) << "unless the objective asks";
  gate.holds_out = true;
  for (Id user = 1; user <= 80000; ++user) held += held_out(gate, user) ? 1 : 0;
  EXPECT_NEAR(held, 10000, 300);
}

TEST(Registry, NamesAreUniqueAndFound) {
  for (const auto* parts : {&gate_rules(), &gate_objectives(), &gate_penalties()}) {
    std::set<std::string_view> names;
    for (const GatePart& part : *parts) {
      EXPECT_TRUE(names.insert(part.name).second) << part.name;
      EXPECT_FALSE(part.summary.empty()) << part.name;
      EXPECT_EQ(find_gate_part(*parts, part.name), &part);
    }
    EXPECT_EQ(find_gate_part(*parts, "no such part"), nullptr);
  }
}

TEST(Dual, FollowsTheRulesOfCalculus) {
  Dual<double, 2> x(1.5), y(-0.7);
  x.slope[0] = 1;
  y.slope[1] = 1;
  const Dual<double, 2> f = x * y + x / y - -(x - 2.0 * y);
  EXPECT_DOUBLE_EQ(f.value, 1.5 * -0.7 + 1.5 / -0.7 + 1.5 + 1.4);
  EXPECT_DOUBLE_EQ(f.slope[0], -0.7 + 1 / -0.7 + 1);
  EXPECT_DOUBLE_EQ(f.slope[1], 1.5 - 1.5 / 0.49 - 2);
  EXPECT_DOUBLE_EQ(tanh(x).slope[0], 1 - std::tanh(1.5) * std::tanh(1.5));
  EXPECT_DOUBLE_EQ(sigmoid(x).slope[0], sigmoid(1.5) * (1 - sigmoid(1.5)));
  EXPECT_DOUBLE_EQ(exp(x * 2).slope[0], 2 * std::exp(3));
  EXPECT_DOUBLE_EQ(log(x).value, std::log(1.5));
  EXPECT_DOUBLE_EQ(log(x).slope[0], 1 / 1.5);
  EXPECT_EQ(abs(y).value, 0.7);
  EXPECT_EQ(abs(y).slope[1], -1);
  EXPECT_EQ(abs(x).slope[0], 1);
  EXPECT_EQ(abs(x * 0).slope[0], 0);
  EXPECT_TRUE(std::isnan(abs(x * std::nan("")).slope[0]));
}

TEST(Dual, MinAndMaxTakeTheSlopeOfWhatTheyTake) {
  Dual<double, 1> x(1.5);
  x.slope[0] = 3;
  EXPECT_EQ(min(x, 2).slope[0], 3);
  EXPECT_EQ(min(2, x).value, 1.5);
  EXPECT_EQ(min(x, 1).slope[0], 0);
  EXPECT_EQ(max(x, 2).slope[0], 0);
  EXPECT_EQ(max(x, 1).slope[0], 3);
  EXPECT_EQ(max(x, 1.5).slope[0], 3) << "the first of equals";
  const double nan = std::nan("");
  for (const double other : {-1.0, 1.0}) {
    EXPECT_TRUE(std::isnan(min(nan, other)) && std::isnan(min(other, nan)));
    EXPECT_TRUE(std::isnan(max(nan, other)) && std::isnan(max(other, nan)));
    EXPECT_TRUE(std::isnan(min(Dual<double, 1>(nan), other).value));
    EXPECT_TRUE(std::isnan(max(other, Dual<double, 1>(nan)).value));
  }
}

}  // namespace
}  // namespace sllmr
