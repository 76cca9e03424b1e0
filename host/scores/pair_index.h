// The pairs a training step may draw: for every user those with the largest score difference.
#pragma once

#include <cstdint>
#include <span>
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

/// CSR of two lists a user: indexes of entries within the user's sorted list that the user's probe may be
/// compared with, those that are no more popular than the probe, then those that are no less; who is as
/// popular is in both.
struct MatchIndex {
  std::vector<std::int64_t> offsets;  // 2 users.rows() + 1
  std::vector<std::uint16_t> entries;
};

/// The candidates that are about as popular as the user's probe: of the same tail class, and log(1 +
/// popularity) within 0.7, about a factor of two. Against others, a judge that favours what is popular looks
/// right, as popular items are taken more often; of that the backbone knows already. And drawn from either
/// list as often, a judge that ranks by popularity is right half of the time. Users without a probe have
/// none. `popularity`, `tail`: by item. Throws Error for a user with more than 65535 entries.
MatchIndex probe_matches(const ScoreTable& table, std::span<const std::int32_t> popularity,
                         std::span<const std::uint8_t> tail);

}  // namespace sllmr
