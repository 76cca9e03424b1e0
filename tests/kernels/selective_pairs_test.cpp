#include "kernels/selective_pairs.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <span>
#include <vector>

#include "kernels/gates/parts.h"
#include "kernels/loss_head.h"
#include "tests/kernels/reference/mf_reference.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/finite_difference.h"
#include "tests/support/gates.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

/// Pair k is of user k + 1 and of items 2 k + 1 and 2 k + 2. More than two batches of the CPU's, and a rest.
struct PairWorld {
  static constexpr std::size_t n = 75;

  explicit PairWorld(int rule, int objective, int penalty, bool least, float spread = 2.0F) {
    TestNumbers numbers(7);
    gate.rule = rule;
    gate.objective = objective;
    gate.penalty = penalty;
    gate.least_side = least;
    gate.uncertainty = least ? Uncertainty::entropy : Uncertainty::confidence;
    gate.uses_probes = gate_objectives()[static_cast<std::size_t>(objective)].uses_probes;
    gate.lambda = 0.7F;
    gate.margin = 0.9F;
    gate.price = 0.2F;
    gate.budget_weight = 0.5F;
    gate.budget_target = 0.4F;
    gate.seed = 3;
    logits = numbers.many(2 * n, -spread, spread);
    theta =
        numbers.many(static_cast<std::size_t>(gate_rules()[static_cast<std::size_t>(rule)].n_params), -1, 1);
    for (std::size_t k = 0; k <= n; ++k) {
      users.push_back(make_signals<UserSignals>(k % 2 == 0 ? 1.0F : 0.0F, [&] { return numbers.in(0, 1); }));
    }
    for (std::size_t k = 0; k <= 2 * n; ++k) {
      items.push_back(make_signals<ItemSignals>(k % 3 == 0 ? 1.0F : 0.0F, [&] { return numbers.in(0, 1); }));
    }
    for (std::size_t k = 0; k < n; ++k) {
      probe.push_back(k % 3 == 1 ? 1 : 0);
      const bool turned = probe[k] != 0 && k % 2 == 0;
      const float high = numbers.in(0.5F, 1), low = k % 10 == 4 ? high : numbers.in(0, 0.5F);
      scores_a.push_back(turned ? low : high);
      scores_b.push_back(turned ? high : low);
      cosine.push_back(probe[k] != 0 ? 0.0F : numbers.in(-1, 1));
    }
  }

  /// Of a side, the draw included.
  GateSignals signals(std::size_t k, int side) const {
    const Id user = static_cast<Id>(k) + 1, item = static_cast<Id>(2 * k) + 1 + side;
    GateSignals z{};
    static_cast<UserSignals&>(z) = users[static_cast<std::size_t>(user)];
    static_cast<ItemSignals&>(z) = items[static_cast<std::size_t>(item)];
    const float logit = logits[2 * k + static_cast<std::size_t>(side)];
    z.uncertainty = uncertainty_of(logit, gate.uncertainty);
    z.logit = logit_signal(logit);
    z.score_gap = std::fabs(scores_a[k] - scores_b[k]);
    const GatePart& rule = gate_rules()[static_cast<std::size_t>(gate.rule)];
    if (rule.uses_draw || rule.knows_noise) z.draw = alpha_of(gate, user, item, z);
    return z;
  }

  GateArgs gate;
  std::vector<float> logits;  // a, b, a, b, ...
  std::vector<float> theta, scores_a, scores_b, cosine;
  std::vector<std::uint8_t> probe;
  std::vector<float> running = {0.6F, 0.3F};
  std::vector<UserSignals> users;
  std::vector<ItemSignals> items;
};

/// Where the kernel's signals come from.
enum class Given { all, what_it_must };

struct PairOutcome {
  std::vector<double> penalty, objective, alpha, weight, by_a, by_b, by_theta;
};

template <class Real>
PairOutcome run_pairs(const Context& context, const PairWorld& world, Given given = Given::all,
                      float scale = 1) {
  const std::size_t n = PairWorld::n;
  std::vector<Real> a, b;
  std::vector<float> columns(2 * kGateSignalCount * n);
  for (std::size_t k = 0; k < n; ++k) {
    a.push_back(static_cast<Real>(world.logits[2 * k]));
    b.push_back(static_cast<Real>(world.logits[2 * k + 1]));
    for (std::size_t side = 0; side < 2; ++side) {
      const GateSignals z = world.signals(k, static_cast<int>(side));
      for (std::size_t s = 0; s < kGateSignalCount; ++s) {
        columns[(k * 2 + side) * kGateSignalCount + s] = z.*kGateSignals[s].member;
      }
    }
  }
  const std::vector<Real> parameters(world.theta.begin(), world.theta.end());
  const auto on_device = [&context](const auto& x) {
    return Buffer<typename std::decay_t<decltype(x)>::value_type>(context, std::span(x));
  };
  const auto logits_a = on_device(a), logits_b = on_device(b), theta = on_device(parameters);
  const auto scores_a = on_device(world.scores_a), scores_b = on_device(world.scores_b),
             cosine = on_device(world.cosine), running = on_device(world.running),
             signals = on_device(columns);
  const auto probe = on_device(world.probe);
  Buffer<Real> outputs(context, (6 + parameters.size()) * n);
  SelectivePairs<Real> args;
  args.gate = world.gate;
  args.gate.running = running.data();
  args.n = static_cast<std::int64_t>(n);
  args.logits_a = args.seen_a = logits_a.data();
  args.logits_b = args.seen_b = logits_b.data();
  args.scores_a = scores_a.data();
  args.scores_b = scores_b.data();
  args.probe = reinterpret_cast<const bool*>(probe.data());
  args.cosine = {cosine.data(), 1};
  for (int side = 0; side < 2; ++side) {
    for (int s = 0; s < kGateSignalCount; ++s) {
      const SignalMember member = kGateSignals[s].member;
      const bool follows = member == &GateSignals::uncertainty || member == &GateSignals::logit ||
                           member == &GateSignals::score_gap;
      if (follows && given == Given::what_it_must) continue;
      args.signals[side][s] = {signals.data() + side * kGateSignalCount + s, 2 * kGateSignalCount};
    }
  }
  args.theta = theta.data();
  args.scale = static_cast<Real>(scale);
  Real** const places[] = {&args.penalty, &args.objective,    &args.alpha,
                           &args.weight,  &args.penalty_by_a, &args.penalty_by_b};
  Real* place = outputs.data();
  for (Real** to : places) {
    *to = place;
    place += n;
  }
  args.objective_by_theta = place;
  run(context, args);
  const std::vector<Real> all = outputs.to_host(context);
  const auto rows = [&](std::size_t first, std::size_t count) {
    return std::vector<double>(all.begin() + static_cast<std::ptrdiff_t>(first * n),
                               all.begin() + static_cast<std::ptrdiff_t>((first + count) * n));
  };
  return {rows(0, 1), rows(1, 1), rows(2, 1), rows(3, 1), rows(4, 1), rows(5, 1), rows(6, parameters.size())};
}

void expect_same(const PairOutcome& x, const PairOutcome& y, Tolerance tolerance, Tolerance of_objective) {
  EXPECT_TRUE(all_near(x.objective, y.objective, of_objective));
  EXPECT_TRUE(all_near(x.penalty, y.penalty, tolerance));
  EXPECT_TRUE(all_near(x.alpha, y.alpha, tolerance));
  EXPECT_TRUE(all_near(x.weight, y.weight, tolerance));
  EXPECT_TRUE(all_near(x.by_a, y.by_a, tolerance));
  EXPECT_TRUE(all_near(x.by_b, y.by_b, tolerance));
  EXPECT_TRUE(all_near(x.by_theta, y.by_theta, tolerance));
}

void expect_same(const PairOutcome& x, const PairOutcome& y, Tolerance tolerance) {
  expect_same(x, y, tolerance, tolerance);
}

/// The same from the double-precision reference's formulas, gradients by central differences.
PairOutcome reference_pairs(const PairWorld& world) {
  const std::string_view rule = gate_rules()[static_cast<std::size_t>(world.gate.rule)].name,
                         objective = gate_objectives()[static_cast<std::size_t>(world.gate.objective)].name,
                         penalty = gate_penalties()[static_cast<std::size_t>(world.gate.penalty)].name;
  const std::size_t n = PairWorld::n, n_params = world.theta.size();
  PairOutcome out;
  out.by_theta.resize(n_params * n);
  for (std::size_t k = 0; k < n; ++k) {
    const GateSignals z_a = world.signals(k, 0), z_b = world.signals(k, 1);
    const bool probe = world.probe[k] != 0;
    const auto s_a = static_cast<double>(world.logits[2 * k]),
               s_b = static_cast<double>(world.logits[2 * k + 1]);
    const float a = world.scores_a[k], b = world.scores_b[k];
    const GateArgs& gate = world.gate;
    const double hinge = probe ? 0 : std::max(0.0, static_cast<double>(gate.margin) - (s_a - s_b));
    const reference::PairFacts facts{gate.lambda,
                                     hinge,
                                     world.cosine[k],
                                     probe,
                                     a > b   ? 1.0
                                     : a < b ? -1.0
                                             : 0.0,
                                     world.running[0],
                                     world.running[1],
                                     gate.price,
                                     gate.budget_weight,
                                     gate.budget_target};
    reference::Vector theta(world.theta.begin(), world.theta.end());
    const auto sides = [&] {
      return reference::Sides{reference::alpha(rule, z_a, theta), reference::alpha(rule, z_b, theta),
                              gate.least_side};
    };
    // Where an alpha is 0 or 1 the reference keeps odds finite in another way.
    const auto given = sides();
    const bool sure = given.a * (1 - given.a) == 0 || given.b * (1 - given.b) == 0;
    const auto loss = sure ? reference::registered_gate_loss : reference::gate_loss;
    const auto of_gate = [&] { return probe && !gate.uses_probes ? 0 : loss(objective, sides(), facts); };
    const double weight = probe ? 0 : reference::model_weight(objective, given, facts);
    const auto of_model = [&](double x_a, double x_b) {
      return probe ? 0
                   : static_cast<double>(gate.lambda) *
                         reference::penalty(penalty, x_a, x_b, {weight, gate.margin, a, b});
    };
    constexpr double kStep = 1e-5;
    out.penalty.push_back(of_model(s_a, s_b));
    out.objective.push_back(of_gate());
    out.alpha.push_back((sure ? reference::registered_pair_alpha : reference::pair_alpha)(objective, given));
    out.weight.push_back(weight);
    out.by_a.push_back((of_model(s_a + kStep, s_b) - of_model(s_a - kStep, s_b)) / (2 * kStep));
    out.by_b.push_back((of_model(s_a, s_b + kStep) - of_model(s_a, s_b - kStep)) / (2 * kStep));
    for (std::size_t p = 0; p < n_params; ++p) {
      const double kept = theta[p];
      theta[p] = kept + kStep;
      const double above = of_gate();
      theta[p] = kept - kStep;
      out.by_theta[p * n + k] = (above - of_gate()) / (2 * kStep);
      theta[p] = kept;
    }
  }
  return out;
}

class SelectivePairsOf : public testing::TestWithParam<GateParts> {
 protected:
  /// Every penalty with both ways to take sides together.
  static void for_each_world(const std::function<void(const PairWorld&)>& check) {
    const auto [rule, objective] = GetParam();
    for (int penalty = 0; penalty < static_cast<int>(gate_penalties().size()); ++penalty) {
      for (const bool least : {false, true}) {
        SCOPED_TRACE(testing::Message() << gate_penalties()[static_cast<std::size_t>(penalty)].name << least);
        check(PairWorld(rule, objective, penalty, least));
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Gates, SelectivePairsOf, every_gate(), gate_test_name);

TEST_P(SelectivePairsOf, AreTheReference) {
  const Context context(Device::cpu, 1);
  for_each_world([&](const PairWorld& world) {
    const PairOutcome expected = reference_pairs(world);
    // 1 - alpha has few digits in single precision where a fixed rule's alpha is 1.
    const Tolerance of_objective = world.theta.empty() ? Tolerance{4e-5, 2e-3} : Tolerance{4e-5, 4e-5};
    expect_same(run_pairs<float>(context, world), expected, {4e-5, 4e-5}, of_objective);
    expect_same(run_pairs<double>(context, world), expected, {2e-6, 2e-6});  // signals and weights are floats
  });
}

/// What deep backbones get of the same pairs (kernels/loss_head.h).
TEST_P(SelectivePairsOf, AreThoseOfTheLossHead) {
  const Context context(Device::cpu, 1);
  for_each_world([&](const PairWorld& world) {
    const std::size_t n = PairWorld::n;
    std::vector<HeadPair> pairs;
    for (std::size_t k = 0; k < n; ++k) {
      const auto at = static_cast<std::int32_t>(k);
      pairs.push_back({{2 * at + 1, 2 * at + 2, world.scores_a[k], world.scores_b[k]},
                       at + 1,
                       2 * at,
                       2 * at + 1,
                       world.probe[k]});
    }
    std::vector<float> d_logits(2 * n), slots(n * GateColumns::stride);
    LossHead head;
    head.logits = world.logits.data();
    head.pairs = pairs.data();
    head.n_pairs = static_cast<std::int64_t>(n);
    head.cosines = world.cosine.data();
    head.gate = world.gate;
    head.gate.theta = world.theta.data();
    head.gate.running = world.running.data();
    head.gate.users = world.users.data();
    head.gate.items = world.items.data();
    head.gate.slots = slots.data();
    head.gate.n_slots = static_cast<int>(n);
    head.d_logits = d_logits.data();
    run(context, head);
    const PairOutcome out = run_pairs<float>(context, world, Given::what_it_must);
    constexpr Tolerance kSame{1e-6, 1e-6};
    for (std::size_t k = 0; k < n; ++k) {
      EXPECT_TRUE(near(out.by_a[k], static_cast<double>(d_logits[2 * k]), kSame));
      EXPECT_TRUE(near(out.by_b[k], static_cast<double>(d_logits[2 * k + 1]), kSame));
      const float* slot = slots.data() + k * GateColumns::stride;
      if (world.probe[k] == 0) {
        EXPECT_TRUE(near(out.alpha[k], static_cast<double>(slot[GateColumns::pair_alpha]), kSame));
        EXPECT_TRUE(near(out.weight[k], static_cast<double>(slot[GateColumns::pair_weight]), kSame));
      }
      for (std::size_t p = 0; p < world.theta.size(); ++p) {
        EXPECT_TRUE(near(out.by_theta[p * n + k], static_cast<double>(slot[GateColumns::theta + p]), kSame));
      }
    }
  });
}

TEST_P(SelectivePairsOf, AreTheSameOnCuda) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context cpu(Device::cpu, 1), cuda(Device::cuda);
  for_each_world([&](const PairWorld& world) {
    expect_same(run_pairs<float>(cuda, world), run_pairs<float>(cpu, world), {2e-6, 2e-6});
    expect_same(run_pairs<double>(cuda, world), run_pairs<double>(cpu, world), {2e-6, 2e-6});
  });
}

PairWorld usual_world() {
  return PairWorld(rule_id("confident"), objective_id("calibrated"), penalty_id("pointwise"), true);
}

TEST(SelectivePairs, ThreadsAndWhoMadeTheSignalsChangeNothing) {
  const PairOutcome one = run_pairs<float>(Context(Device::cpu, 1), usual_world());
  expect_same(run_pairs<float>(Context(Device::cpu, 3), usual_world()), one, {});
  expect_same(run_pairs<float>(Context(GuestOf{.device = Device::cpu, .threads = 2}), usual_world()), one,
              {});
  expect_same(run_pairs<float>(Context(Device::cpu, 1), usual_world(), Given::what_it_must), one,
              {1e-6, 1e-6});
}

TEST(SelectivePairs, TheScaleIsOfSlopesAlone) {
  const Context context(Device::cpu, 1);
  PairOutcome expected = run_pairs<double>(context, usual_world());
  for (std::vector<double>* slopes : {&expected.by_a, &expected.by_b, &expected.by_theta}) {
    for (double& x : *slopes) x *= 0.25;
  }
  expect_same(run_pairs<double>(context, usual_world(), Given::all, 0.25F), expected, {1e-15, 1e-12});
}

TEST(SelectivePairs, ANaNReachesLossAndGradientOfItsPairAlone) {
  PairWorld world = usual_world();
  world.logits[2 * 40] = kNan;  // a guiding pair
  ASSERT_EQ(world.probe[40], 1);
  world.logits[2 * 41 + 1] = kNan;
  ASSERT_EQ(world.probe[41], 0);
  const PairOutcome out = run_pairs<float>(Context(Device::cpu, 1), world);
  EXPECT_TRUE(std::isnan(out.penalty[41]) && std::isnan(out.by_b[41]) && std::isnan(out.weight[41]));
  EXPECT_TRUE(std::isnan(out.objective[40]) && std::isnan(out.by_theta[40]));
  EXPECT_TRUE(std::isfinite(out.penalty[42]) && std::isfinite(out.objective[42]));
}

/// A rule that reads a signal which nobody gave must not take another number for it.
TEST(SelectivePairs, ALackingSignalIsNaN) {
  const PairWorld world(rule_id("cold"), objective_id("hinge"), penalty_id("hinge"), false);
  const float logits[] = {0.1F, 0.2F}, scores[] = {0.9F, 0.1F};
  float out[6];
  SelectivePairs<float> args;
  args.gate = world.gate;
  args.gate.running = world.running.data();
  args.n = 1;
  args.logits_a = args.seen_a = logits;
  args.logits_b = args.seen_b = logits + 1;
  args.scores_a = scores;
  args.scores_b = scores + 1;
  args.penalty = out;
  args.objective = out + 1;
  args.alpha = out + 2;
  args.weight = out + 3;
  args.penalty_by_a = out + 4;
  args.penalty_by_b = out + 5;
  run(Context(Device::cpu, 1), args);
  EXPECT_TRUE(std::isnan(out[0]) && std::isnan(out[2]) && std::isnan(out[4]));
}

TEST(SelectivePairs, ScoresAreLookedAt) {
  const Context context(Device::cpu, 1);
  PairWorld world = usual_world();
  world.scores_a[3] = 1.5F;
  EXPECT_THAT(error_of([&] { run_pairs<float>(context, world); }),
              testing::HasSubstr("1 of 75 pairs have a score that is NaN"));
  world = usual_world();
  world.scores_b[1] = kNan;
  EXPECT_THAT(error_of([&] { run_pairs<float>(context, world); }),
              testing::HasSubstr("1 of 75 pairs have a score that is NaN"));
  world = usual_world();
  std::swap(world.scores_a[0], world.scores_b[0]);
  EXPECT_THAT(error_of([&] { run_pairs<float>(context, world); }),
              testing::HasSubstr("1 of 75 pairs guide, and the LLM scores"));
}

}  // namespace
}  // namespace sllmr
