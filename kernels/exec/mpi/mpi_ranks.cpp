// The library libsllmr_mpi.so, which kernels/exec/communicator.cpp loads where a run has several ranks.
#include <mpi.h>

#include <cstdlib>
#include <limits>

#include "kernels/exec/communicator.h"
#include "kernels/exec/error.h"

namespace sllmr {

namespace {

// Errors of MPI end all ranks by themselves (MPI_ERRORS_ARE_FATAL), so no call returns one.
class MpiRanks final : public Communicator {
 public:
  MpiRanks() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm here = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here);
    MPI_Comm_rank(here, &local_rank_);
    MPI_Comm_free(&here);
    std::atexit([] { MPI_Finalize(); });
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }

  void do_broadcast(void* data, std::size_t bytes, int root) override {
    MPI_Bcast(data, counted(static_cast<std::int64_t>(bytes)), MPI_BYTE, root, MPI_COMM_WORLD);
  }

  void do_all_gather(const void* mine, std::size_t bytes, void* all) override {
    const int n = counted(static_cast<std::int64_t>(bytes));
    MPI_Allgather(mine, n, MPI_BYTE, all, n, MPI_BYTE, MPI_COMM_WORLD);
  }

  void do_all_gather_v(const void* mine, std::span<const std::int64_t> bytes, void* all) override {
    const Parts parts(bytes);
    const auto own = static_cast<std::size_t>(rank_);
    MPI_Allgatherv(mine, parts.counts[own], MPI_BYTE, all, parts.counts.data(), parts.begins.data(), MPI_BYTE,
                   MPI_COMM_WORLD);
  }

  void do_all_to_all_v(const void* send, std::span<const std::int64_t> send_bytes, void* receive,
                       std::span<const std::int64_t> receive_bytes) override {
    const Parts out(send_bytes), in(receive_bytes);
    MPI_Alltoallv(send, out.counts.data(), out.begins.data(), MPI_BYTE, receive, in.counts.data(),
                  in.begins.data(), MPI_BYTE, MPI_COMM_WORLD);
  }

  [[noreturn]] void abort(int status) override {
    MPI_Abort(MPI_COMM_WORLD, status);
    std::_Exit(status);  // MPI_Abort does not return, but does not say so
  }

 private:
  /// MPI counts by int.
  static int counted(std::int64_t bytes) {
    require(bytes <= std::numeric_limits<int>::max(),
            "more than 2 GiB at once for other ranks: use a smaller batch, or more ranks");
    return static_cast<int>(bytes);
  }
  struct Parts {
    explicit Parts(std::span<const std::int64_t> bytes) {
      std::int64_t begin = 0;
      for (const std::int64_t n : bytes) {
        begins.push_back(counted(begin));
        counts.push_back(counted(n));
        begin += n;
      }
      counted(begin);
    }
    std::vector<int> counts, begins;
  };

  int rank_ = 0, size_ = 1, local_rank_ = 0;
};

}  // namespace

}  // namespace sllmr

/// Null for a program of another version.
extern "C" sllmr::Communicator* sllmr_open_mpi(int version) {
  if (version != sllmr::Communicator::kVersion) return nullptr;
  static sllmr::MpiRanks ranks;
  return &ranks;
}
