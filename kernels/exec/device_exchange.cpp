#include "kernels/exec/device_exchange.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <numeric>
#include <vector>

#include "kernels/exec/communicator.h"
#include "kernels/exec/cuda_check.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/nccl/nccl_link.h"

namespace sllmr {

namespace {

/// Which GPU of which machine.
[[maybe_unused]] std::string own_gpu() {
  std::string name;
#if SLLMR_WITH_CUDA
  std::array<char, 256> text{};
  ::gethostname(text.data(), text.size() - 1);
  name = text.data();
  int id = 0;
  SLLMR_CUDA_CHECK(cudaGetDevice(&id));
  SLLMR_CUDA_CHECK(cudaDeviceGetPCIBusId(text.data(), static_cast<int>(text.size()), id));
  name += ' ';
  name += text.data();
#endif
  return name;
}

/// Why NCCL cannot connect these ranks; empty: it can. The same on all of them.
[[maybe_unused]] std::string why_not_nccl(Communicator& ranks) {
  const std::vector<std::string> missing = gather_texts(ranks, why_no_nccl());
  for (std::size_t r = 0; r < missing.size(); ++r) {
    if (!missing[r].empty()) return "rank " + std::to_string(r) + ": " + missing[r];
  }
  const std::vector<std::string> gpus = gather_texts(ranks, own_gpu());
  for (std::size_t r = 0; r < gpus.size(); ++r) {
    const auto first = std::ranges::find(gpus, gpus[r]) - gpus.begin();
    if (first != static_cast<std::ptrdiff_t>(r))
      return "ranks " + std::to_string(first) + " and " + std::to_string(r) + " share a GPU";
  }
  return {};
}

std::size_t sum_of(std::span<const std::int64_t> bytes) {
  return static_cast<std::size_t>(std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0}));
}

std::vector<std::byte> on_host(const Context& context, const void* memory, std::size_t bytes) {
  std::vector<std::byte> host(bytes);
  if (bytes != 0) copy_to_host(context, host.data(), memory, bytes);
  return host;
}

}  // namespace

std::string connect_devices(Context& context, Transport transport) {
  Communicator& ranks = context.ranks();
  if (context.device() == Device::cpu) {
    require(transport != Transport::nccl, "transport=nccl is for GPUs: set device=cuda, or leave transport");
    return {};
  }
  if (ranks.size() == 1) return {};
  if (transport == Transport::host) return "host";
  const std::string why = why_not_nccl(ranks);
  if (!why.empty()) {
    require(transport != Transport::nccl,
            "transport=nccl, but " + why +
                ": NCCL (Debian: libnccl2; PyPI: nvidia-nccl-cu12, whose lib folder goes into "
                "LD_LIBRARY_PATH) connects ranks with a GPU each; transport=host goes by way of the host");
    return "host (" + why + ")";
  }
  context.link(open_nccl(context));
  return "nccl " + nccl_version();
}

UnlinkAfterError::~UnlinkAfterError() {
  if (std::uncaught_exceptions() > 0) context_.link(nullptr);
}

void all_to_all_v_on_device(const Context& context, const void* send,
                            std::span<const std::int64_t> send_bytes, void* receive,
                            std::span<const std::int64_t> receive_bytes) {
  Communicator& ranks = context.ranks();
  if (context.device() == Device::cpu) return ranks.all_to_all_v(send, send_bytes, receive, receive_bytes);
  if (DeviceLink* link = context.link()) {
    ranks.count_to_each(send_bytes);
    return link->all_to_all_v(context, send, send_bytes, receive, receive_bytes);
  }
  const std::vector<std::byte> sent = on_host(context, send, sum_of(send_bytes));
  std::vector<std::byte> received(sum_of(receive_bytes));
  ranks.all_to_all_v(sent.data(), send_bytes, received.data(), receive_bytes);
  copy_to_device(context, receive, received.data(), received.size());
}

void all_gather_v_on_device(const Context& context, const void* mine, std::span<const std::int64_t> bytes,
                            void* all) {
  Communicator& ranks = context.ranks();
  const auto own = static_cast<std::size_t>(bytes[static_cast<std::size_t>(ranks.rank())]);
  if (context.device() == Device::cpu) return ranks.all_gather_v(mine, bytes, all);
  if (context.link() == nullptr) {
    const std::vector<std::byte> sent = on_host(context, mine, own);
    std::vector<std::byte> received(sum_of(bytes));
    ranks.all_gather_v(sent.data(), bytes, received.data());
    return copy_to_device(context, all, received.data(), received.size());
  }
  ranks.count_to_all(static_cast<std::int64_t>(own));
  context.link()->all_gather_v(context, mine, bytes, all);
}

}  // namespace sllmr
