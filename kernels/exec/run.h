// From a kernel's arguments to the device that runs it. A kernel is known by its arguments, a struct with
// named members whose comment says what it computes:
//
//   run(context, AddTo<float>{.x = x, .to = y});
//
// A member without a default must be given: the compiler warns. Its .cu, compiled once for each device, says
// how, in a function `run_item` or `run_here`, and names the struct in a macro of kernels/exec/launch.h.
#pragma once

#include "kernels/exec/context.h"

namespace sllmr {

/// What one device does with arguments `Args`; `OnDevice` is OnCpu or OnCuda.
template <class OnDevice, class Args>
struct Kernel {
  static void run(const Context& context, const Args& args);
};

/// Runs the kernel of these arguments on the context's device. Asynchronous on CUDA.
template <class Args>
void run(const Context& context, const Args& args) {
  on_device(context, [&](auto device) { Kernel<decltype(device), Args>::run(context, args); });
}

}  // namespace sllmr
