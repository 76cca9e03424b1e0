// Tries a user's gate part out: range, and slopes against central differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/exec/random.h"
#include "kernels/gates/module/module.h"
#include "kernels/gates/registry.h"

namespace sllmr {

/// Numbers that are the same every time.
class TrialNumbers {
 public:
  double in(double low, double high) {
    const Draw draw = philox(1, 0, at_++, Purpose::gate_rule);
    return low + (high - low) * static_cast<double>(uniform(draw.word[0]));
  }
  float coin() { return in(0, 1) < 0.5 ? 0.0F : 1.0F; }

 private:
  std::uint64_t at_ = 0;
};

namespace trial {

inline constexpr int kTimes = 200;
inline constexpr double kStep = 1e-5, kTolerance = 1e-4;

inline GateSignals signals(TrialNumbers& numbers) {
  GateSignals z{};
  for (const NamedSignal& each : kGateSignals) z.*each.member = static_cast<float>(numbers.in(0, 1));
  z.cold = numbers.coin();
  z.tail = numbers.coin();
  z.logit = static_cast<float>(numbers.in(-3, 3));
  return z;
}

/// Compares a slope with central differences of value(x) at `x`. A kink within a step is no fault: one
/// disagreement in twenty is let pass.
class Slopes {
 public:
  template <class Value>
  void compare(double x, double slope, const Value& value, const std::string& by) {
    const double differences = (value(x + kStep) - value(x - kStep)) / (2 * kStep);
    const double off = std::fabs(slope - differences) / (1 + std::fabs(differences));
    ++n_;
    if (off <= kTolerance) {
      worst_ = std::max(worst_, off);
      return;
    }
    ++wrong_;
    fault_ = "its slope by " + by + " is " + std::to_string(slope) + ", by central differences " +
             std::to_string(differences);
  }
  void report(GateTrial& to) const {
    to.worst = worst_;
    if (to.fault.empty() && 20 * wrong_ > n_) to.fault = fault_;
  }

 private:
  int n_ = 0, wrong_ = 0;
  double worst_ = 0;
  std::string fault_;
};

/// Parameters that know how many there are; a rule that reads others has a fault.
template <class Theta>
struct CheckedTheta {
  Theta theta;
  int n;
  int* beyond;  // gets a number that is none of a parameter

  bool has(int k) const {
    const bool known = k >= 0 && k < n;
    if (!known) *beyond = k;
    return known;
  }
  auto operator[](int k) const { return theta[has(k) ? k : 0]; }
  template <class Start, int count>
  auto plus_product(Start start, int first, const float (&x)[count]) const {
    const bool known = has(first) && has(first + count - 1);
    return theta.plus_product(start, known ? first : 0, x);
  }
};

/// Does the rule read parameters that it does not have? Tried with more than a rule may have.
template <class Rule>
bool reads_beyond(GateTrial& out) {
  TrialNumbers numbers;
  constexpr int kMany = 2 * kMaxGateParams;
  std::vector<double> theta(kMany, 0.5);
  int beyond = -1;
  bool found = false;
  for (int time = 0; time < kTimes && !found; ++time) {
    const CheckedTheta<PlainTheta<double>> checked{{theta.data()}, Rule::n_params, &beyond};
    static_cast<void>(Rule::alpha(signals(numbers), checked));
    found = beyond != -1;
  }
  if (found) {
    out.fault = "alpha reads parameter " + std::to_string(beyond) + ", and n_params is " +
                std::to_string(Rule::n_params);
  }
  return found;
}

template <class Rule>
void try_rule(GateTrial& out) {
  out.is_rule = true;
  if (reads_beyond<Rule>(out)) return;
  TrialNumbers numbers;
  Slopes slopes;
  bool reads[std::size(kGateSignals)] = {};
  for (int time = 0; time < kTimes; ++time) {
    const GateSignals z = signals(numbers);
    std::vector<double> theta;
    for (int k = 0; k < Rule::n_params; ++k) theta.push_back(numbers.in(-2, 2) * (time % 10 == 0 ? 50 : 1));
    const auto alpha_at = [&theta](const GateSignals& at) {
      return static_cast<double>(value_of(Rule::alpha(at, PlainTheta<double>{theta.data()})));
    };
    const double alpha = alpha_at(z);
    if (!(alpha >= 0 && alpha <= 1) && out.fault.empty())
      out.fault = "alpha is " + std::to_string(alpha) + ", and must lie in [0, 1]";
    out.low = std::min(out.low, alpha);
    out.high = std::max(out.high, alpha);
    for (std::size_t k = 0; k < std::size(kGateSignals); ++k) {
      GateSignals other = z;
      other.*kGateSignals[k].member = 1.0F - z.*kGateSignals[k].member;
      reads[k] = reads[k] || alpha_at(other) != alpha;
    }
    if constexpr (Rule::n_params > 0) {
      const auto dual = Rule::alpha(z, SeededTheta<double, Rule::n_params>{theta.data(), 0});
      for (int k = 0; k < Rule::n_params; ++k) {
        double& parameter = theta[static_cast<std::size_t>(k)];
        const double at = parameter;
        slopes.compare(
            at, dual.slope[k],
            [&](double x) {
              parameter = x;
              const double value = alpha_at(z);
              parameter = at;
              return value;
            },
            "parameter " + std::to_string(k));
      }
    }
  }
  slopes.report(out);
  for (std::size_t k = 0; k < std::size(kGateSignals); ++k) {
    if (!reads[k]) continue;
    out.reads.emplace_back(kGateSignals[k].name);
    const auto wants = [&](const char* name, bool said, const char* flag) {
      if (out.reads.back() == name && !said && out.fault.empty())
        out.fault =
            std::string("alpha depends on ") + name + ", but the rule does not say `" + flag + " = true`";
    };
    wants("uncertainty", Rule::uses_uncertainty, "uses_uncertainty");
    wants("logit", Rule::uses_logit, "uses_logit");
    wants("draw", Rule::uses_draw || Rule::knows_noise, "uses_draw");
  }
}

template <class Objective>
void try_objective(GateTrial& out) {
  TrialNumbers numbers;
  Slopes slopes;
  for (int time = 0; time < kTimes; ++time) {
    const bool probe = time % 3 == 0;
    const PairContext pair{.lambda = static_cast<float>(numbers.in(0.01, 2)),
                           .hinge = probe ? 0.0F : static_cast<float>(numbers.in(0, 3)),
                           .cosine = static_cast<float>(numbers.in(-1, 1)),
                           .probe = probe,
                           .agreement = numbers.coin() * 2 - 1,
                           .mean_alpha = static_cast<float>(numbers.in(0, 1)),
                           .mean_hinge = static_cast<float>(numbers.in(0, 1)),
                           .price = static_cast<float>(numbers.in(0, 0.5)),
                           .budget_weight = static_cast<float>(numbers.in(0, 2)),
                           .budget_target = static_cast<float>(numbers.in(0, 1))};
    const double alpha = numbers.in(0.01, 0.99);
    const auto loss = [&pair](double at) {
      Dual<double, 1> seeded(at);
      seeded.slope[0] = 1;
      return Objective::loss(seeded, pair);
    };
    slopes.compare(
        alpha, loss(alpha).slope[0], [&](double at) { return loss(at).value; }, "alpha");
  }
  slopes.report(out);
}

template <class Penalty>
void try_penalty(GateTrial& out) {
  TrialNumbers numbers;
  Slopes slopes;
  for (int time = 0; time < kTimes; ++time) {
    const GuidingPair pair{.weight = static_cast<float>(numbers.in(0, 1)),
                           .margin = static_cast<float>(numbers.in(0, 1)),
                           .score_a = static_cast<float>(numbers.in(0.5, 1)),
                           .score_b = static_cast<float>(numbers.in(0, 0.5))};
    const double a = numbers.in(-3, 3), b = numbers.in(-3, 3);
    const auto loss = [&pair](double s_a, double s_b) {
      Dual<double, 2> of_a(s_a), of_b(s_b);
      of_a.slope[0] = of_b.slope[1] = 1;
      return Penalty::loss(of_a, of_b, pair);
    };
    slopes.compare(
        a, loss(a, b).slope[0], [&](double at) { return loss(at, b).value; }, "logit a");
    slopes.compare(
        b, loss(a, b).slope[1], [&](double at) { return loss(a, at).value; }, "logit b");
  }
  slopes.report(out);
}

template <class Part>
GateTrial try_part() {
  GateTrial out;
  out.part = Part::name;
  if constexpr (std::is_base_of_v<GateRule, Part>) try_rule<Part>(out);
  if constexpr (std::is_base_of_v<GateObjective, Part>) try_objective<Part>(out);
  if constexpr (std::is_base_of_v<GatePenalty, Part>) try_penalty<Part>(out);
  return out;
}

}  // namespace trial

template <class... Parts>
std::vector<GateTrial> try_parts(PartList<Parts...>) {
  return {trial::try_part<Parts>()...};
}

}  // namespace sllmr
