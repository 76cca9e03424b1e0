// What the source of a gate module consists of, which host/guidance/gate_module.cpp writes:
//
//   #define SLLMR_GATE_MODULE "parts.h"       names the user's headers and SLLMR_MORE_RULES, _OBJECTIVES,
//                                             _PENALTIES, SLLMR_OWN_PARTS
//   #define SLLMR_GATE_HOST 1                 0: the kernels alone, as by nvcc
//   #define SLLMR_GATE_KERNELS 1              0: for a trial alone
//   #define SLLMR_GATE_FUSED 1                of matrix factorisation: 1 the fused step, 0 the exact one;
//   with #define SLLMR_GATE_WIDTH 64               its width and optimiser, so that nothing else is compiled
//   #define SLLMR_GATE_OPTIMIZER sgd
//   #include "kernels/gates/module/library.h"
//
// What it does not define is the program's that loads it.
#pragma once

#if SLLMR_GATE_KERNELS
#include "kernels/loss_head.cu"
#include "kernels/pointwise_loss.cu"
#if defined(SLLMR_GATE_FUSED)
#if SLLMR_GATE_FUSED
#include "kernels/fused_mf_step.cu"
#else
#include "kernels/mf_batch.cu"
#endif
#endif
#endif
#if SLLMR_GATE_HOST
#include "kernels/gates/module/trial.h"
#include "kernels/gates/registry.cpp"
#endif
#include "kernels/gates/module/abi.h"

namespace sllmr {
namespace {

#if SLLMR_GATE_KERNELS
template <class Args>
void run_kernel(const Context& context, const Args& args) {
  Kernel<OnThisDevice, Args>::run(context, args);
}
#endif

GateKernels kernels() {
  GateKernels out;
#if SLLMR_GATE_KERNELS
  out.loss_head = run_kernel<LossHead>;
  out.pointwise = run_kernel<PointwiseHead>;
#if defined(SLLMR_GATE_FUSED)
#if SLLMR_GATE_FUSED
  out.fused = run_kernel<FusedMfStep>;
#else
  out.gradients = run_kernel<MfGradients>;
#endif
#endif
#endif
  return out;
}

}  // namespace
}  // namespace sllmr

#define SLLMR_EXPORT extern "C" __attribute__((visibility("default")))

SLLMR_EXPORT std::uint64_t sllmr_gate_abi() {
  return sllmr::kGateAbi;
}
SLLMR_EXPORT void sllmr_gate_kernels(sllmr::GateKernels* out) {
  *out = sllmr::kernels();
}
#if SLLMR_GATE_HOST
SLLMR_EXPORT void sllmr_gate_module(sllmr::GateModule* out) {
  *out = {.rules = sllmr::gate_rules,
          .objectives = sllmr::gate_objectives,
          .penalties = sllmr::gate_penalties,
          .initial = [](int rule, std::uint64_t seed) { return sllmr::initial_gate_params(rule, seed); },
          .alpha = sllmr::alpha_of,
          .weight = sllmr::weight_of,
          .try_out = [] { return sllmr::try_parts(sllmr::PartList<SLLMR_OWN_PARTS>{}); },
          .cpu = sllmr::kernels(),
          .cuda = {}};
}
#endif
