// Gate parts that are no part of this program: a user's header, compiled beside the registered parts into a
// library that has the kernels for all of them. host/guidance/gate_module.h compiles and loads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/exec/context.h"
#include "kernels/gates/parts.h"

namespace sllmr {

struct FusedMfStep;
struct LossHead;
struct MfGradients;
struct PointwiseHead;

/// The kernels of one device that have a gate compiled in; null: not in this module, which has only those
/// that its run launches.
struct GateKernels {
  void (*fused)(const Context& context, const FusedMfStep& args) = nullptr;
  void (*gradients)(const Context& context, const MfGradients& args) = nullptr;
  void (*loss_head)(const Context& context, const LossHead& args) = nullptr;
  void (*pointwise)(const Context& context, const PointwiseHead& args) = nullptr;
};

/// What trying a part out has shown.
struct GateTrial {
  std::string part;
  std::string fault;  // empty: none was found
  bool is_rule = false;
  double worst = 0;  // largest difference of a slope from central differences, relative to 1 + |slope|
  double low = 1, high = 0;        // of a rule: the least and the largest alpha
  std::vector<std::string> reads;  // of a rule: the signals that alpha depends on
};

/// What a library has; the functions are those of parts.h with the user's parts behind the registered ones.
struct GateModule {
  const std::vector<GatePart>& (*rules)() = nullptr;
  const std::vector<GatePart>& (*objectives)() = nullptr;
  const std::vector<GatePart>& (*penalties)() = nullptr;
  std::vector<float> (*initial)(int rule, std::uint64_t seed) = nullptr;
  float (*alpha)(const GateArgs& gate, Id user, Id item, const GateSignals& z) = nullptr;
  float (*weight)(const GateArgs& gate, float alpha_a, float alpha_b) = nullptr;
  /// Of the user's parts.
  std::vector<GateTrial> (*try_out)() = nullptr;
  GateKernels cpu, cuda;
};

/// Keeps a module for as long as the process lives. Returns its number, from 1 on: GatePart::module and
/// GateArgs::module of its parts. May be called beside steps of other modules.
int add_gate_module(const GateModule& module);
const GateModule& gate_module(int number);

}  // namespace sllmr
