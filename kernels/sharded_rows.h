// Rows of a table that several ranks share out (kernels/exec/row_shard.h), for whoever asks.
#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/exec/communicator.h"
#include "kernels/exec/matrix.h"
#include "kernels/exec/row_shard.h"

namespace sllmr {

/// What each rank has sent this one, by rank.
template <class T>
struct FromRanks {
  std::vector<T> values;
  std::vector<std::int64_t> counts;  // [ranks]
};

/// counts[r] of `values` to each rank r; they lie by rank.
template <class T>
void exchange(Communicator& ranks, std::span<const T> values, std::span<const std::int64_t> counts,
              FromRanks<T>& out) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto size = static_cast<std::size_t>(ranks.size());
  const std::vector<std::int64_t> one(size, sizeof(std::int64_t));
  out.counts.resize(size);
  ranks.all_to_all_v(counts.data(), one, out.counts.data(), one);
  out.values.resize(
      static_cast<std::size_t>(std::accumulate(out.counts.begin(), out.counts.end(), std::int64_t{0})));
  std::vector<std::int64_t> sent, received;
  for (std::size_t r = 0; r < size; ++r) {
    sent.push_back(counts[r] * static_cast<std::int64_t>(sizeof(T)));
    received.push_back(out.counts[r] * static_cast<std::int64_t>(sizeof(T)));
  }
  ranks.all_to_all_v(values.data(), sent, out.values.data(), received);
}

/// Each id once, by owner and then ascending.
class RowRequest {
 public:
  /// Each of `wanted` becomes a number from 1 on: the row that fetch() brings; 0 stays 0.
  void plan(const RowShard& shard, std::span<Id* const> wanted);
  /// The same of ids that stay as they are: number(k) is that of ids[k].
  void plan(const RowShard& shard, std::span<const Id> ids);
  Id number(std::size_t k) const { return numbers_[k]; }

  std::int64_t rows() const { return static_cast<std::int64_t>(places_.size()); }
  /// Of row `number`: whose it is, and where its owner keeps it.
  int owner(Id number) const { return owners_[static_cast<std::size_t>(number - 1)]; }
  Id place(Id number) const { return places_[static_cast<std::size_t>(number - 1)]; }

  /// Every rank's call at the same time: tells the owners. Returns the places of this rank's rows that
  /// others, or it, will fetch; some ask for the same.
  std::span<const Id> ask(const Context& context);
  /// After ask(), every rank's call at the same time: [(1 + rows()) x width], zeros, then the rows asked for.
  /// `table` is this rank's part; all on the context's device. Any number of tables with these rows may
  /// follow.
  Tensor<float> fetch(const Context& context, const Matrix<const float>& table) const;

 private:
  std::vector<std::uint64_t> wanted_;  // owner and place, then which of the ids
  std::vector<Id> numbers_, ids_;
  std::vector<int> owners_;
  std::vector<Id> places_;
  std::vector<std::int64_t> counts_;  // [ranks]
  FromRanks<Id> asked_;
};

/// Rows places[0], places[1], ... of `table`: [places x width], on the context's device as that.
Tensor<float> gather_rows(const Context& context, const Matrix<const float>& table,
                          std::span<const Id> places);
/// counts[r] rows of `width` floats in bytes.
std::vector<std::int64_t> bytes_of_rows(std::span<const std::int64_t> counts, std::int64_t width);

}  // namespace sllmr
