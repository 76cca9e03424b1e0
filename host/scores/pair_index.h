// The pairs a training step may draw: for every user those with the largest score difference.
#pragma once

#include <cstdint>
#include <vector>

#include "host/scores/score_table.h"

namespace sllmr {

/// CSR by user. `first` and `second` are entry indexes within the user's sorted list of the score table;
/// `first` has the higher score.
struct PairIndex {
  std::vector<std::int64_t> offsets;  // users.rows() + 1
  std::vector<std::uint16_t> first, second;
};

/// The `per_user` pairs of each user with the largest score difference (the paper keeps these), largest
/// first, ties by (first, second). Equal scores make no pair, so a user may have fewer. O(n + per_user log n)
/// a user of n entries. Throws Error for per_user < 1 and for a user with more than 65535 entries.
PairIndex largest_pairs(const ScoreTable& table, int per_user);

}  // namespace sllmr
