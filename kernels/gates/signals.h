// What a gate may look at, and how it gets its parameters.
#pragma once

#include <iterator>
#include <type_traits>

#include "kernels/exec/loops.h"
#include "kernels/exec/types.h"
#include "kernels/gates/dual.h"
#include "kernels/gates/uncertainty.h"

namespace sllmr {

/// Signals of a user and of an item that training does not change. A new one is a member here, its name in
/// kGateSignals and in OtherUserSignals or OtherSideSignals, and its value in host/guidance/signals.cpp.
struct UserSignals {
  float cold;            // 1 if the user has a short training history, else 0
  float log_history;     // log(1 + training interactions of the user), 1 at the data set's maximum
  float score_entropy;   // entropy of the user's LLM scores, in [0, 1]: 1 when all candidates score the same
  float user_entropy;    // of the categories of training items, in [0, 1]: 1 when no two are the same
  float judge_variance;  // mean over the user's candidates of 4 times the variance of the LLM's score over
                         // permuted prompts, in [0, 1]; 0 where the table does not tell
};
struct ItemSignals {
  float tail;            // 1 if the item is in the unpopular tail, else 0
  float log_popularity;  // log(1 + training interactions of the item), 1 at the data set's maximum
};

/// What a rule may look at: one (user, item) inside an LLM pair.
struct GateSignals : UserSignals, ItemSignals {
  float uncertainty;  // of the backbone's prediction, in [0, 1]; a constant for the gradient
  float logit;        // the backbone's, within [-3, 3]; a constant for the gradient
  float score_gap;    // difference of the pair's two LLM scores, in [0, 1]
  float draw;  // random in [0, 1], fixed for (seed, user, item), of mean gate.mean_alpha; for a rule that
               // knows_noise 0 where llm.noise replaced the score, else 1
};

/// Every signal by its name, for who is handed signals or tells of them.
using SignalMember = float GateSignals::*;
struct NamedSignal {
  const char* name;
  SignalMember member;
};
inline constexpr NamedSignal kGateSignals[] = {{"cold", &GateSignals::cold},
                                               {"tail", &GateSignals::tail},
                                               {"uncertainty", &GateSignals::uncertainty},
                                               {"logit", &GateSignals::logit},
                                               {"score_gap", &GateSignals::score_gap},
                                               {"log_history", &GateSignals::log_history},
                                               {"log_popularity", &GateSignals::log_popularity},
                                               {"score_entropy", &GateSignals::score_entropy},
                                               {"user_entropy", &GateSignals::user_entropy},
                                               {"judge_variance", &GateSignals::judge_variance},
                                               {"draw", &GateSignals::draw}};
inline constexpr int kGateSignalCount = static_cast<int>(std::size(kGateSignals));
static_assert(sizeof(GateSignals) == kGateSignalCount * sizeof(float), "they name every signal");

/// GateSignals::logit of a backbone's logit; NaN stays NaN.
SLLMR_INLINE float logit_signal(float logit) {
  constexpr float kMost = 3.0F;
  return logit < -kMost ? -kMost : logit > kMost ? kMost : logit;
}

template <auto... members>
struct MemberList {
  static constexpr int count = sizeof...(members);

  /// Copies those that `From` has.
  template <class From>
  static SLLMR_INLINE void copy(const From& from, GateSignals& to) {
    (copy_one<members>(from, to), ...);
  }

 private:
  template <auto member, class From>
  static SLLMR_INLINE void copy_one(const From& from, GateSignals& to) {
    if constexpr (std::is_same_v<decltype(member), float From::*>) to.*member = from.*member;
  }
};
/// All signals but cold, tail, uncertainty, logit and score_gap, which the gate itself keeps of each pair:
/// those of the user, which both sides of a pair share, and those of a side.
using OtherUserSignals = MemberList<&GateSignals::log_history, &GateSignals::score_entropy,
                                    &GateSignals::user_entropy, &GateSignals::judge_variance>;
using OtherSideSignals = MemberList<&GateSignals::log_popularity, &GateSignals::draw>;
static_assert(sizeof(GateSignals) == (5 + OtherUserSignals::count + OtherSideSignals::count) * sizeof(float),
              "they name every other signal, each a float");

/// Parameter access for plain evaluation.
template <class Scalar>
struct PlainTheta {
  const Scalar* theta;
  SLLMR_HD Scalar operator[](int k) const { return theta[k]; }
  /// start + theta[first] x[0] + theta[first + 1] x[1] + ...; quicker than term by term.
  template <int n>
  SLLMR_HD Scalar plus_product(Scalar start, int first, const float (&x)[n]) const {
    for (int k = 0; k < n; ++k) start += theta[first + k] * x[k];
    return start;
  }
};

/// Parameter access that seeds parameters [first, first + N) with unit slopes.
template <class Scalar, int N>
struct SeededTheta {
  const Scalar* theta;
  int first;
  SLLMR_HD Dual<Scalar, N> operator[](int k) const {
    Dual<Scalar, N> out(theta[k]);
    for (int s = 0; s < N; ++s) out.slope[s] = k == first + s ? Scalar(1) : Scalar(0);
    return out;
  }
  /// As PlainTheta's, of parameters that `start` does not depend on.
  template <int n>
  SLLMR_HD Dual<Scalar, N> plus_product(Dual<Scalar, N> start, int from, const float (&x)[n]) const {
    SLLMR_UNROLL
    for (int k = 0; k < n; ++k) {
      start.value += theta[from + k] * x[k];
      for (int s = 0; s < N; ++s) start.slope[s] = from + k == first + s ? x[k] : start.slope[s];
    }
    return start;
  }
};

}  // namespace sllmr
