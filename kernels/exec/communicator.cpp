#include "kernels/exec/communicator.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "kernels/exec/error.h"

namespace sllmr {

namespace {

class Alone final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_rank() const override { return 0; }
  void do_broadcast(void*, std::size_t, int) override {}
  void do_all_gather(const void* mine, std::size_t bytes, void* all) override { copy(mine, bytes, all); }
  void do_all_gather_v(const void* mine, std::span<const std::int64_t> bytes, void* all) override {
    copy(mine, static_cast<std::size_t>(bytes[0]), all);
  }
  void do_all_to_all_v(const void* send, std::span<const std::int64_t> send_bytes, void* receive,
                       std::span<const std::int64_t>) override {
    copy(send, static_cast<std::size_t>(send_bytes[0]), receive);
  }
  [[noreturn]] void abort(int status) override { std::_Exit(status); }

 private:
  static void copy(const void* from, std::size_t bytes, void* to) {
    if (bytes != 0) std::memcpy(to, from, bytes);
  }
};

/// What starts processes tells each of them so.
struct RankVariables {
  const char *rank, *size;
};
constexpr RankVariables kRankVariables[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                            {"PMIX_RANK", "SLURM_NTASKS"},
                                            {"PMI_RANK", "PMI_SIZE"}};

Communicator* opened = nullptr;

/// MPI lies in a library of its own: no other command needs it, and loading it takes as long as they do.
Communicator& open_mpi() {
  constexpr const char* kLibrary = "libsllmr_mpi.so";
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::string why = "libsllmr_mpi.so is not there";
  void* library = nullptr;
  for (const auto& folder : {program, program / "../lib", program / ".."}) {
    if (!std::filesystem::exists(folder / kLibrary)) continue;
    // Global, as Open MPI's own parts look for its symbols among the program's.
    library = dlopen((folder / kLibrary).c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) why = dlerror();
    break;
  }
  if (library == nullptr) {
    throw Error(
        "started as one of several ranks, but " + why +
        ": install MPI (Debian: apt-get install libopenmpi-dev openmpi-bin) and build again, or start "
        "the program by itself");
  }
  using Open = Communicator* (*)(int version);
  const auto open = reinterpret_cast<Open>(dlsym(library, "sllmr_open_mpi"));
  Communicator* ranks = open != nullptr ? open(Communicator::kVersion) : nullptr;
  require(ranks != nullptr, "libsllmr_mpi.so is of another version of this program: build again");
  require(ranks->rank() == started_as_rank(),
          "this process was started as rank " + std::to_string(started_as_rank()) + ", but MPI says " +
              std::to_string(ranks->rank()) + " of " + std::to_string(ranks->size()) +
              ": start it by the mpirun of the MPI that it was built with");
  return *ranks;
}

}  // namespace

Communicator& alone() {
  static Alone self;
  return self;
}

int started_as_rank() {
  for (const RankVariables& names : kRankVariables) {
    const char *rank = std::getenv(names.rank), *size = std::getenv(names.size);
    if (rank != nullptr) return size != nullptr && std::atoi(size) == 1 ? -1 : std::atoi(rank);
  }
  return -1;
}

Communicator& all_ranks() {
  if (opened == nullptr) opened = started_as_rank() >= 0 ? &open_mpi() : &alone();
  return *opened;
}

int rank_of_all() {
  return opened != nullptr ? opened->rank() : 0;
}

void end_other_ranks(int status) {
  if (opened != nullptr && opened->size() > 1) opened->abort(status);
}

RankShare share_of(const Communicator& ranks, int rank, std::int64_t items) {
  return {items * rank / ranks.size(), items * (rank + 1) / ranks.size()};
}

bool any_of(Communicator& ranks, bool mine) {
  std::vector<char> all(static_cast<std::size_t>(ranks.size()));
  const char flag = mine ? 1 : 0;
  ranks.all_gather(&flag, 1, all.data());
  return std::ranges::count(all, 1) > 0;
}

std::vector<std::string> gather_texts(Communicator& ranks, const std::string& mine) {
  std::vector<std::int64_t> bytes(static_cast<std::size_t>(ranks.size()));
  const auto own = static_cast<std::int64_t>(mine.size());
  ranks.all_gather(&own, sizeof own, bytes.data());
  std::string all(static_cast<std::size_t>(std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0})),
                  '\0');
  ranks.all_gather_v(mine.data(), bytes, all.data());
  std::vector<std::string> texts;
  std::size_t begin = 0;
  for (const std::int64_t size : bytes) {
    texts.push_back(all.substr(begin, static_cast<std::size_t>(size)));
    begin += static_cast<std::size_t>(size);
  }
  return texts;
}

}  // namespace sllmr
