// NCCL as a DeviceLink, loaded where a run has several GPUs.
#pragma once

#include <memory>
#include <string>

#include "kernels/exec/device_exchange.h"

namespace sllmr {

/// Why libnccl.so.2 cannot be used; empty: it can.
std::string why_no_nccl();
/// "2.21.5".
std::string nccl_version();
/// Connects the GPUs of all ranks, each of which has one of its own and calls this at the same time. The
/// ranks' communicator passes NCCL's id on. Throws Error where a call of NCCL fails.
std::unique_ptr<DeviceLink> open_nccl(const Context& context);

}  // namespace sllmr
