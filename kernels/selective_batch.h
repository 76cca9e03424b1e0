// Pairs of kernels/selective_pairs.h that pass the gate together, from columns in memory.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/exec/launch.h"
#include "kernels/selective_pairs.h"

namespace sllmr {

// Apart for the two compilers, whose batches differ.
namespace {

/// Pairs that pass the gate together: on the CPU in vectors, on CUDA each alone.
inline constexpr int kBatch = OnThisDevice::value == Device::cuda ? 1 : 32;

/// Place of a signal in kGateSignals.
constexpr int place_of(SignalMember member) {
  int k = 0;
  while (kGateSignals[k].member != member) ++k;
  return k;
}
inline constexpr int kUncertainty = place_of(&GateSignals::uncertainty),
                     kLogit = place_of(&GateSignals::logit), kGap = place_of(&GateSignals::score_gap);

template <class Real>
struct PairBatch {
  float signal[2][kGateSignalCount][kBatch];
  float score[2][kBatch], cosine[kBatch], hinge[kBatch];
  float guides[kBatch];  // 1 or 0
  Real logit[2][kBatch], alpha[2][kBatch];
  Real slope[2][kBatch];  // of the objective by the sides' alphas
  Real objective[kBatch], pair_alpha[kBatch], penalty[kBatch], push[2][kBatch];
  float weight[kBatch];

  SLLMR_INLINE GateSignals signals(int side, int k) const {
    return signals(side, k, std::make_integer_sequence<int, kGateSignalCount>());
  }

 private:
  template <int... at>
  SLLMR_INLINE GateSignals signals(int side, int k, std::integer_sequence<int, at...>) const {
    GateSignals z;
    ((z.*kGateSignals[at].member = signal[side][at][k]), ...);
    return z;
  }
};

/// to[k] = from(index of the batch's pair k); the last pair fills the batch up. Most batches are full.
template <class To, class From>
SLLMR_INLINE void fill(To (&to)[kBatch], std::int64_t first, int count, const From& from) {
  if (count == kBatch) {
    side_by_side<kBatch>([&to, &from, first](int k) { to[k] = from(first + k); });
    return;
  }
  for (int k = 0; k < count; ++k) to[k] = from(first + k);
  for (int k = count; k < kBatch; ++k) to[k] = to[count - 1];
}
SLLMR_INLINE void fill(float (&to)[kBatch], std::int64_t first, int count, const PairColumn& column,
                       float otherwise) {
  const float* data = column.data;
  if (data == nullptr) {
    for (float& x : to) x = otherwise;
  } else if (column.stride == 1) {
    fill(to, first, count, [data](std::int64_t k) { return data[k]; });
  } else {
    fill(to, first, count, [data, stride = column.stride](std::int64_t k) { return data[k * stride]; });
  }
}

/// The signals that follow from logits and scores, where they are not given.
template <class Real>
SLLMR_INLINE void derive(const SelectivePairs<Real>& args, const Real (&seen)[2][kBatch],
                         PairBatch<Real>& batch) {
  for (int side = 0; side < 2; ++side) {
    auto& signal = batch.signal[side];
    const PairColumn* given = args.signals[side];
    const Real* logits = seen[side];
    if (given[kUncertainty].data == nullptr) {
      with_uncertainty(args.gate.uncertainty,
                       [&]<Uncertainty kind>(std::integral_constant<Uncertainty, kind>) {
                         side_by_side<kBatch>([to = signal[kUncertainty], logits](int k) {
                           to[k] = uncertainty_of<kind>(static_cast<float>(logits[k]));
                         });
                       });
    }
    if (given[kLogit].data == nullptr) {
      side_by_side<kBatch>(
          [to = signal[kLogit], logits](int k) { to[k] = logit_signal(static_cast<float>(logits[k])); });
    }
    if (given[kGap].data == nullptr) {
      side_by_side<kBatch>(
          [to = signal[kGap], &batch](int k) { to[k] = std::fabs(batch.score[0][k] - batch.score[1][k]); });
    }
  }
}

/// Pairs first .. first + count - 1; the last one fills the batch up.
template <class Real>
SLLMR_INLINE void load(const SelectivePairs<Real>& args, std::int64_t first, int count,
                       PairBatch<Real>& batch) {
  Real seen[2][kBatch];
  SLLMR_UNROLL
  for (int side = 0; side < 2; ++side) {
    const Real *logits = side == 0 ? args.logits_a : args.logits_b,
               *of_gate = side == 0 ? args.seen_a : args.seen_b;
    const float* scores = side == 0 ? args.scores_a : args.scores_b;
    fill(batch.logit[side], first, count, [=](std::int64_t k) { return logits[k]; });
    fill(seen[side], first, count, [=](std::int64_t k) { return of_gate[k]; });
    fill(batch.score[side], first, count, [=](std::int64_t k) { return scores[k]; });
    for (int s = 0; s < kGateSignalCount; ++s) {
      fill(batch.signal[side][s], first, count, args.signals[side][s], NAN);
    }
  }
  fill(batch.cosine, first, count, args.cosine, 0.0F);
  if (args.probe == nullptr) {
    for (float& guides : batch.guides) guides = 1.0F;
  } else {
    fill(batch.guides, first, count, [probe = args.probe](std::int64_t k) { return probe[k] ? 0.0F : 1.0F; });
  }
  side_by_side<kBatch>([&batch, &seen, margin = Real(args.gate.margin)](int k) {
    const Real slack = margin - (seen[0][k] - seen[1][k]);
    const Real positive = slack < 0 ? Real(0) : slack;  // written so that a NaN logit stays NaN
    batch.hinge[k] = batch.guides[k] != 0.0F ? static_cast<float>(positive) : 0.0F;
  });
  derive(args, seen, batch);
}

/// The first `count` numbers.
template <class Real, class From>
SLLMR_INLINE void store(Real* to, int count, const From (&from)[kBatch]) {
  if (count == kBatch) {
    side_by_side<kBatch>([to, &from](int k) { to[k] = from[k]; });
    return;
  }
  for (int k = 0; k < count; ++k) to[k] = from[k];
}

}  // namespace

}  // namespace sllmr
