// What the processes of one run, its ranks, say to each other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/exec/not_copied.h"

namespace sllmr {

/// Ranks 0 .. size() - 1. Every rank makes the same calls in the same order, each waits for the others as far
/// as it needs what they send, and all memory is the host's. A rank that cannot go on calls abort(): whoever
/// only stopped calling would be waited for. What fails ends all ranks with a message of the library's own.
class Communicator : NotCopied {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Which it is of those that share this machine.
  virtual int local_rank() const = 0;

  /// `data` [bytes] of rank `root`, to all.
  void broadcast(void* data, std::size_t bytes, int root) {
    if (rank() == root) count(static_cast<std::int64_t>(bytes) * (size() - 1));
    do_broadcast(data, bytes, root);
  }
  /// `all` [size() x bytes]: `mine` [bytes] of every rank, by rank.
  void all_gather(const void* mine, std::size_t bytes, void* all) {
    count(static_cast<std::int64_t>(bytes) * (size() - 1));
    do_all_gather(mine, bytes, all);
  }
  /// The same of as many bytes as each has: bytes[r] of rank r, one after the other in `all`.
  void all_gather_v(const void* mine, std::span<const std::int64_t> bytes, void* all) {
    count_to_all(bytes[static_cast<std::size_t>(rank())]);
    do_all_gather_v(mine, bytes, all);
  }
  /// To each rank r send_bytes[r] of `send`, from each receive_bytes[r] into `receive`; both lie by rank.
  void all_to_all_v(const void* send, std::span<const std::int64_t> send_bytes, void* receive,
                    std::span<const std::int64_t> receive_bytes) {
    count_to_each(send_bytes);
    do_all_to_all_v(send, send_bytes, receive, receive_bytes);
  }
  /// Ends the other ranks, then this process with `status`.
  [[noreturn]] virtual void abort(int status) = 0;

  /// Raised with every change of this class: the library of MPI is built with it.
  static constexpr int kVersion = 2;

  /// What goes from device to device without being handed over here: `bytes` for every other rank, or
  /// bytes[r] for rank r.
  void count_to_all(std::int64_t bytes) { count(bytes * (size() - 1)); }
  void count_to_each(std::span<const std::int64_t> bytes) {
    for (int r = 0; r < size(); ++r) count(r == rank() ? 0 : bytes[static_cast<std::size_t>(r)]);
  }
  /// Bytes that this rank has handed over for others so far, each counted once for every rank that it goes
  /// to; how often they cross a wire is the library's business.
  std::int64_t bytes_sent() const { return bytes_sent_; }

 protected:
  virtual void do_broadcast(void* data, std::size_t bytes, int root) = 0;
  virtual void do_all_gather(const void* mine, std::size_t bytes, void* all) = 0;
  virtual void do_all_gather_v(const void* mine, std::span<const std::int64_t> bytes, void* all) = 0;
  virtual void do_all_to_all_v(const void* send, std::span<const std::int64_t> send_bytes, void* receive,
                               std::span<const std::int64_t> receive_bytes) = 0;

 private:
  void count(std::int64_t bytes) { bytes_sent_ += bytes; }

  std::int64_t bytes_sent_ = 0;
};

/// A process alone.
Communicator& alone();

/// Which of several ranks this process was started as (by mpirun, or srun with PMIx); -1: by itself.
int started_as_rank();
/// All ranks that were started together, by MPI; alone() where none were. Throws Error where MPI is wanted
/// and this program was built without it. Opened on the first call, by the thread that makes all calls.
Communicator& all_ranks();
/// This one's number of those that all_ranks() has opened; 0 where it was not asked to.
int rank_of_all();
/// Where all_ranks() has opened several: ends the others, which would wait for this one, and this process
/// with `status`.
void end_other_ranks(int status);

/// One of consecutive shares of `items` things, as equal as can be; rank `rank` has [first, end).
struct RankShare {
  std::int64_t first, end;
};
RankShare share_of(const Communicator& ranks, int rank, std::int64_t items);
/// `all` consists of as many `groups` of `group` elements, the last one shorter, of which each rank has
/// filled in its share_of(); gives each rank all of them.
template <class T>
void gather_shares(Communicator& ranks, std::int64_t groups, std::int64_t group, std::span<T> all) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (ranks.size() == 1) return;
  const auto place_of = [&](std::int64_t at) { return std::min(std::ssize(all), at * group); };
  std::vector<std::int64_t> bytes;
  for (int r = 0; r < ranks.size(); ++r) {
    const RankShare share = share_of(ranks, r, groups);
    bytes.push_back((place_of(share.end) - place_of(share.first)) * static_cast<std::int64_t>(sizeof(T)));
  }
  const std::vector<T> filled(all.begin(), all.end());
  ranks.all_gather_v(filled.data() + place_of(share_of(ranks, ranks.rank(), groups).first), bytes,
                     all.data());
}

/// Is it true on any rank?
bool any_of(Communicator& ranks, bool mine);
/// Each rank's text.
std::vector<std::string> gather_texts(Communicator& ranks, const std::string& mine);

}  // namespace sllmr
