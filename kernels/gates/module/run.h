// How a kernel hands a gate that it has no code for to the module that has.
#pragma once

#include "kernels/exec/error.h"
#include "kernels/exec/types.h"
#include "kernels/gates/gate_args.h"
#include "kernels/gates/module/module.h"

namespace sllmr {

/// Runs `kernel` of the gate's module on the device that the caller is compiled for. False: the gate is of
/// the registered parts.
template <class Args>
bool run_in_module(const Context& context, const Args& args, const GateArgs& gate,
                   void (*GateKernels::*kernel)(const Context&, const Args&)) {
#if defined(SLLMR_GATE_MODULE)
  return false;  // this is the module
#else
  if (gate.module == 0) return false;
  const GateModule& module = gate_module(gate.module);
  const auto function = (OnThisDevice::value == Device::cuda ? module.cuda : module.cpu).*kernel;
  require(function != nullptr, "the gate module was made without this kernel");
  function(context, args);
  return true;
#endif
}

}  // namespace sllmr
