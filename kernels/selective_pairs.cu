#include "kernels/selective_pairs.h"

#include <string>
#include <utility>

#include "kernels/exec/launch.h"
#include "kernels/gates/gate.h"
#include "kernels/selective_batch.h"

namespace sllmr {

namespace {

using detail::variable;

template <class Real>
struct SideAlphas {
  const Real* theta;
  PairBatch<Real>& batch;

  template <class Rule>
  SLLMR_FLAT void operator()() {
    for (int side = 0; side < 2; ++side) {
      side_by_side<kBatch>([&pairs = batch, to = batch.alpha[side], at = PlainTheta<Real>{theta},
                            side](int k) { to[k] = Rule::alpha(pairs.signals(side, k), at); });
    }
  }
};

template <class Real>
struct PairObjectives {
  const GateArgs& gate;
  PairBatch<Real>& batch;

  template <class Objective>
  SLLMR_FLAT void operator()() {
    if constexpr (kBatch == 1) {
      of_pairs<Objective>(gate.least_side);
    } else {
      // A choice that the loop would make anew for each pair keeps it from running in vectors.
      with_constant(gate.least_side, [&](auto least) { of_pairs<Objective>(least); });
    }
  }

 private:
  template <class Objective, class Least>
  SLLMR_INLINE void of_pairs(Least least) {
    side_by_side<kBatch>([args = &gate, pairs = &batch, least, mean_alpha = gate.running[0],
                          mean_hinge = gate.running[1], idle_probes = !gate.uses_probes](int k) {
      const bool probe = pairs->guides[k] == 0.0F;
      const float score_a = pairs->score[0][k], score_b = pairs->score[1][k];
      const PairContext pair = detail::pair_context(*args, pairs->hinge[k], pairs->cosine[k], probe,
                                                    agreement_of(score_a, score_b), mean_alpha, mean_hinge);
      const Real alpha_a = pairs->alpha[0][k], alpha_b = pairs->alpha[1][k];
      const Dual<Real, 2> alpha = Objective::of_pair(variable(0, alpha_a), variable(1, alpha_b), least);
      const Dual<Real, 2> loss = Objective::loss(alpha, pair);
      const bool idle = (probe & idle_probes) != 0;
      pairs->slope[0][k] = idle ? Real(0) : loss.slope[0];
      pairs->slope[1][k] = idle ? Real(0) : loss.slope[1];
      pairs->objective[k] = idle ? Real(0) : loss.value;
      pairs->pair_alpha[k] = alpha.value;
      const float weight =
          pair_weight<Objective>(static_cast<float>(alpha_a), static_cast<float>(alpha_b), least, pair);
      pairs->weight[k] = probe ? 0.0F : weight;
    });
  }
};

template <class Real>
struct PairPenalties {
  const GateArgs& gate;
  Real scale;  // of slopes
  PairBatch<Real>& batch;

  template <class Penalty>
  SLLMR_FLAT void operator()() {
    side_by_side<kBatch>([pairs = &batch, lambda = Real(gate.lambda), of_slopes = scale * Real(gate.lambda),
                          margin = gate.margin](int k) {
      const GuidingPair pair{pairs->weight[k], margin, pairs->score[0][k], pairs->score[1][k]};
      const Dual<Real, 2> loss =
          Penalty::loss(variable(0, pairs->logit[0][k]), variable(1, pairs->logit[1][k]), pair);
      const bool guides = pairs->guides[k] != 0.0F;
      pairs->penalty[k] = guides ? lambda * loss.value : Real(0);
      pairs->push[0][k] = guides ? of_slopes * loss.slope[0] : Real(0);
      pairs->push[1][k] = guides ? of_slopes * loss.slope[1] : Real(0);
    });
  }
};

/// SeededTheta whose sums are written out, which the loop over pairs needs to run in vectors.
template <class Real, int N>
struct FlatTheta : SeededTheta<Real, N> {
  template <int n>
  SLLMR_INLINE Dual<Real, N> plus_product(const Dual<Real, N>& start, int from, const float (&x)[n]) const {
    return sum(start, from, x, std::make_integer_sequence<int, n>());
  }

 private:
  template <int n, int... at>
  SLLMR_INLINE Dual<Real, N> sum(Dual<Real, N> start, int from, const float (&x)[n],
                                 std::integer_sequence<int, at...>) const {
    (add(start, from + at, x[at]), ...);
    return start;
  }
  SLLMR_INLINE void add(Dual<Real, N>& to, int k, float x) const {
    to.value += this->theta[k] * x;
    for (int s = 0; s < N; ++s) to.slope[s] = k == this->first + s ? x : to.slope[s];
  }
};

/// The objective's slopes by the rule's parameters, a share of them at a time: all at once would need more
/// registers than there are.
template <class Real>
struct ThetaSlopes {
  const SelectivePairs<Real>& args;
  const PairBatch<Real>& batch;
  std::int64_t first;
  int count;

  template <class Rule>
  SLLMR_FLAT void operator()() {
    constexpr int kMost = kBatch > 1 ? 7 : 4;  // more, and GCC does not write the loops over slopes out
    constexpr int kShares = (Rule::n_params + kMost - 1) / kMost;
    if constexpr (kShares > 0) {
      constexpr int kShare = (Rule::n_params + kShares - 1) / kShares;
      if constexpr (kBatch > 1 && kShares <= 4) {
        // Which slopes are 0 is then known, which the loop over pairs needs to run in vectors.
        each_share<Rule, kShare>(std::make_integer_sequence<int, kShares>());
      } else {
        for (int from = 0; from < Rule::n_params; from += kShare) of_share<Rule, kShare>(from);
      }
    }
  }

 private:
  template <class Rule, int kShare, int... share>
  SLLMR_INLINE void each_share(std::integer_sequence<int, share...>) {
    (of_share<Rule, kShare>(std::integral_constant<int, share * kShare>()), ...);
  }
  template <class Rule, int kShare, class From>
  SLLMR_INLINE void of_share(From from) {
    Real slopes[kShare][kBatch] = {};
    for (int side = 0; side < 2; ++side) {
      side_by_side<kBatch>(
          [pairs = &batch, to = slopes, theta = args.theta, scale = args.scale, from, side](int k) {
            const Dual<Real, kShare> alpha =
                Rule::alpha(pairs->signals(side, k), FlatTheta<Real, kShare>{{theta, from}});
            const Real by_alpha = scale * pairs->slope[side][k];
            for (int s = 0; s < kShare; ++s) {
              to[s][k] += by_alpha == Real(0) ? Real(0) : by_alpha * alpha.slope[s];
            }
          });
    }
    SLLMR_UNROLL
    for (int s = 0; s < kShare; ++s) {
      if (from + s >= Rule::n_params) break;
      Real* to = args.objective_by_theta + (from + s) * args.n + first;
      for (int k = 0; k < count; ++k) to[k] = slopes[s][k];
    }
  }
};

template <class Real, class Parts>
struct PairBatches {
  SelectivePairs<Real> args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t first, std::int64_t size) const {
    const int count = static_cast<int>(size);
    PairBatch<Real> batch;
    load(args, first, count, batch);
    SideAlphas<Real> alphas{args.theta, batch};
    GateRules::visit<Parts>(args.gate.rule, alphas);
    PairObjectives<Real> objectives{args.gate, batch};
    GateObjectives::visit<Parts>(args.gate.objective, objectives);
    PairPenalties<Real> penalties{args.gate, args.scale, batch};
    GatePenalties::visit<Parts>(args.gate.penalty, penalties);
    store(args.penalty + first, count, batch.penalty);
    store(args.objective + first, count, batch.objective);
    store(args.alpha + first, count, batch.pair_alpha);
    store(args.weight + first, count, batch.weight);
    store(args.penalty_by_a + first, count, batch.push[0]);
    store(args.penalty_by_b + first, count, batch.push[1]);
    if (args.objective_by_theta == nullptr) return;
    ThetaSlopes<Real> slopes{args, batch, first, count};
    GateRules::visit<Parts>(args.gate.rule, slopes);
  }
};

/// Scores are a caller's data, so that mistakes in them are likely.
template <class Real>
void require_scores(const SelectivePairs<Real>& args) {
  int wrong = 0, turned = 0;
  for (std::int64_t k = 0; k < args.n; ++k) {
    const float a = args.scores_a[k], b = args.scores_b[k];
    wrong += (a >= 0.0F && a <= 1.0F ? 0 : 1) | (b >= 0.0F && b <= 1.0F ? 0 : 1);  // a NaN is wrong
    turned += a < b ? 1 : 0;
  }
  const std::string of = " of " + std::to_string(args.n) + " pairs ";
  require(wrong == 0, std::to_string(wrong) + of + "have a score that is NaN or outside of [0, 1]");
  for (std::int64_t k = 0; k < args.n && turned > 0 && args.probe != nullptr; ++k) {
    turned -= args.probe[k] && args.scores_a[k] < args.scores_b[k] ? 1 : 0;
  }
  require(turned == 0,
          std::to_string(turned) + of +
              "guide, and the LLM scores their b above their a: swap the two, or mark the pair as a probe's");
}

template <class Real>
void run_here(const Context& context, const SelectivePairs<Real>& args) {
  require(args.gate.module == 0, "selective_pairs: takes registered parts alone");
  const auto with_parts = [&]<class Parts>(Parts) {
    launch_batches<1>(context, "selective_pairs", args.n, kBatch, PairBatches<Real, Parts>{args});
  };
  if constexpr (OnThisDevice::value == Device::cpu) {
    require_scores(args);
    return with_parts(EveryPart{});
  }
  if (has_parts_of<LeanParts>(args.gate)) return with_parts(LeanParts{});
  if (has_parts_of<NarrowParts>(args.gate)) return with_parts(NarrowParts{});
  with_parts(WideParts{});
}

}  // namespace

SLLMR_KERNELS(SelectivePairs)

}  // namespace sllmr
