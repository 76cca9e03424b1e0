#include "kernels/exec/nccl/nccl_link.h"

#if SLLMR_WITH_CUDA
#include <cstddef>
#include <exception>

#include "kernels/exec/communicator.h"
#include "kernels/exec/cuda_check.h"
#include "kernels/exec/error.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/nccl/nccl_functions.h"
#endif

namespace sllmr {

#if SLLMR_WITH_CUDA

namespace {

#define SLLMR_NCCL_CHECK(call) check((call), #call)

void check(int status, const char* call) {
  if (status == 0) return;
  throw Error(std::string(call) + " failed: " + nccl().error_string(status));
}

class NcclLink final : public DeviceLink {
 public:
  explicit NcclLink(const Context& context) : ranks_(context.ranks()) {
    NcclId id{};
    if (ranks_.rank() == 0) SLLMR_NCCL_CHECK(nccl().get_unique_id(&id));
    ranks_.broadcast(&id, sizeof id, 0);
    SLLMR_NCCL_CHECK(nccl().comm_init_rank(&comm_, ranks_.size(), id, ranks_.rank()));
  }
  ~NcclLink() override {
    // The others are not there to take leave of where this rank goes because of an error.
    std::uncaught_exceptions() > 0 ? nccl().comm_abort(comm_) : nccl().comm_destroy(comm_);
  }

  void all_to_all_v(const Context& context, const void* send, std::span<const std::int64_t> send_bytes,
                    void* receive, std::span<const std::int64_t> receive_bytes) override {
    const auto* from = static_cast<const std::byte*>(send);
    auto* to = static_cast<std::byte*>(receive);
    const Group group(*this);
    for (int r = 0; r < ranks_.size(); ++r) {
      const std::int64_t out = send_bytes[static_cast<std::size_t>(r)],
                         in = receive_bytes[static_cast<std::size_t>(r)];
      pass(context, r, from, out, to, in);
      from += out;
      to += in;
    }
    group.end();
  }

  void all_gather_v(const Context& context, const void* mine, std::span<const std::int64_t> bytes,
                    void* all) override {
    const std::int64_t own = bytes[static_cast<std::size_t>(ranks_.rank())];
    auto* to = static_cast<std::byte*>(all);
    const Group group(*this);
    for (int r = 0; r < ranks_.size(); ++r) {
      const std::int64_t in = bytes[static_cast<std::size_t>(r)];
      pass(context, r, mine, own, to, in);
      to += in;
    }
    group.end();
  }

 private:
  /// Calls that NCCL carries out together: sends and receives of several ranks wait for each other.
  class Group : ::sllmr::NotCopied {
   public:
    explicit Group(const NcclLink& link) : link_(link) {
      int status = 0;
      SLLMR_NCCL_CHECK(nccl().comm_get_async_error(link_.comm_, &status));
      SLLMR_NCCL_CHECK(status);  // of the exchange before
      SLLMR_NCCL_CHECK(nccl().group_start());
    }
    void end() const { SLLMR_NCCL_CHECK(nccl().group_end()); }

   private:
    const NcclLink& link_;
  };

  void pass(const Context& context, int rank, const void* out, std::int64_t out_bytes, void* in,
            std::int64_t in_bytes) const {
    if (rank == ranks_.rank()) {
      if (in_bytes != 0) copy_on_device(context, in, out, static_cast<std::size_t>(in_bytes));
      return;
    }
    const auto stream = static_cast<cudaStream_t>(context.stream());
    if (out_bytes != 0) {
      SLLMR_NCCL_CHECK(
          nccl().send(out, static_cast<std::size_t>(out_bytes), kNcclBytes, rank, comm_, stream));
    }
    if (in_bytes != 0) {
      SLLMR_NCCL_CHECK(
          nccl().receive(in, static_cast<std::size_t>(in_bytes), kNcclBytes, rank, comm_, stream));
    }
  }

  Communicator& ranks_;
  NcclComm comm_ = nullptr;
};

}  // namespace

std::string why_no_nccl() {
  try {
    nccl();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

std::string nccl_version() {
  int version = 0;
  SLLMR_NCCL_CHECK(nccl().get_version(&version));
  // From 2.9 on 10,000 for each first number.
  return std::to_string(version / 10'000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

std::unique_ptr<DeviceLink> open_nccl(const Context& context) {
  return std::make_unique<NcclLink>(context);
}

#else

std::string why_no_nccl() {
  return "built without CUDA";
}
std::string nccl_version() {
  return {};
}
std::unique_ptr<DeviceLink> open_nccl(const Context&) {
  return nullptr;
}

#endif

}  // namespace sllmr
