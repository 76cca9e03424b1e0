// What ranks send each other from the memory of their devices: by way of the host, or between GPUs by NCCL.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kernels/exec/context.h"
#include "kernels/exec/not_copied.h"
#include "kernels/exec/transport.h"

namespace sllmr {

/// Something that moves device memory without the host. Every rank makes the same calls in the same order;
/// they wait for what the context's stream was given before, and what it is given afterwards waits for them.
class DeviceLink : NotCopied {
 public:
  virtual ~DeviceLink() = default;
  /// As Communicator::all_to_all_v. `receive` and `send` do not overlap.
  virtual void all_to_all_v(const Context& context, const void* send,
                            std::span<const std::int64_t> send_bytes, void* receive,
                            std::span<const std::int64_t> receive_bytes) = 0;
  /// As Communicator::all_gather_v.
  virtual void all_gather_v(const Context& context, const void* mine, std::span<const std::int64_t> bytes,
                            void* all) = 0;
};

/// Every rank's call at the same time. Connects the GPUs of context.ranks() as `transport` asks; alone and on
/// the CPU there is nothing to connect. Returns what it came to, as summary.json has it: "nccl 2.21.5", or
/// "host (rank 1: no libnccl.so.2)"; empty where there is nothing to tell. Throws Error where NCCL is asked
/// for and cannot be had, with what to do.
std::string connect_devices(Context& context, Transport transport);

/// Destroyed because of an error, it parts the context from the other ranks' devices: what waits there for
/// them would hold up whoever frees memory.
class UnlinkAfterError : NotCopied {
 public:
  explicit UnlinkAfterError(Context& context) : context_(context) {}
  ~UnlinkAfterError();

 private:
  Context& context_;
};

/// Communicator::all_to_all_v of memory of the context's device; on the CPU that is the host's. The result is
/// there for whatever is launched afterwards.
void all_to_all_v_on_device(const Context& context, const void* send,
                            std::span<const std::int64_t> send_bytes, void* receive,
                            std::span<const std::int64_t> receive_bytes);
/// Communicator::all_gather_v of the same. `mine` does not lie in `all`.
void all_gather_v_on_device(const Context& context, const void* mine, std::span<const std::int64_t> bytes,
                            void* all);

}  // namespace sllmr
