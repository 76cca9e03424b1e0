// Whether a gate module and the program that loads it see the same structs.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "kernels/fused_mf_step.h"
#include "kernels/gates/module/module.h"
#include "kernels/loss_head.h"
#include "kernels/mf_batch.h"
#include "kernels/pointwise_loss.h"

namespace sllmr {

namespace detail {
constexpr std::uint64_t sizes_of(std::initializer_list<std::uint64_t> sizes) {
  std::uint64_t hash = 1;  // raised with every change that no size shows
  for (const std::uint64_t size : sizes) hash = hash * 0x9E3779B97F4A7C15ULL + size;
  return hash;
}
}  // namespace detail

inline constexpr std::uint64_t kGateAbi = detail::sizes_of(
    {sizeof(FusedMfStep), sizeof(MfGradients), sizeof(LossHead), sizeof(PointwiseHead), sizeof(GateArgs),
     sizeof(GatePart), sizeof(GateModule), sizeof(Context), sizeof(MfArgs), sizeof(RowPairs),
     sizeof(GateSignals), GateColumns::stride, static_cast<std::uint64_t>(GateColumns::used)});

}  // namespace sllmr
