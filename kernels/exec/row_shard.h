// Which rows of a table a rank keeps.
#pragma once

#include <cstdint>

#include "kernels/exec/types.h"

namespace sllmr {

/// The rows of a table, shared out among `ranks`: id k > 0 belongs to rank (k - 1) mod ranks, and row 0, the
/// padding, to all. Alone a rank keeps every row at its id.
struct RowShard {
  int rank = 0, ranks = 1;

  bool is_whole() const { return ranks == 1; }
  /// Of a real id.
  int owner(Id id) const { return (id - 1) % ranks; }
  bool owns(Id id) const { return owner(id) == rank; }
  /// Where its owner keeps an id.
  Id place(Id id) const { return id == 0 ? 0 : (id - 1) / ranks + 1; }
  /// The id at one of this rank's places.
  Id id_at(Id place) const { return place == 0 ? 0 : (place - 1) * ranks + rank + 1; }
  /// Of a table's `rows`, padding included, how many this rank keeps.
  Id rows_of(Id rows) const {
    return static_cast<Id>(1 + (std::int64_t{rows} - 1 - rank + ranks - 1) / ranks);
  }
};

}  // namespace sllmr
