// Offline LLM scores of (user, item) pairs, by user, sorted by score.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr {

/// One scored pair.
struct LlmScore {
  Id user = 0;
  Id item = 0;
  float score = 0;     // in [0, 1]
  bool probe = false;  // the user's last training item, left out of the prompt's history
};

/// CSR by user; entries of a user sorted by score, highest first, ties by item id.
struct ScoreTable {
  std::vector<std::int64_t> offsets;  // users.rows() + 1
  std::vector<Id> items;
  std::vector<float> scores;
  std::vector<std::int32_t> probe;  // by user: index of the probe among the user's entries, -1 without one
  std::string scorer;               // who judged: "lexical", "file:toys.scores"

  std::int64_t size() const { return static_cast<std::int64_t>(items.size()); }
  std::int64_t scored_users() const;
  std::span<const Id> items_of(Id user) const;
  std::span<const float> scores_of(Id user) const;
};

/// Builds the table. Throws Error for a duplicate (user, item), a score outside [0, 1] or not finite, two probes of
/// one user.
ScoreTable make_score_table(const Dataset& data, std::vector<LlmScore> scores, std::string scorer);

/// Replaces a share `share` of the scores by uniform random numbers (counter-based by seed, user, item), in the
/// given slice only, and sorts again.
enum class NoiseSlice { all, warm, head };  // warm: users that are not cold; head: items that are not tail
struct Split;
void corrupt_scores(ScoreTable& table, const Split& split, double share, NoiseSlice slice, std::uint64_t seed);

/// TSV (`user_id item_id score [probe]`, header `name[:type]`) and JSON lines. The reader tells them by content.
/// Throws Error naming file and line for unknown users or items, malformed lines, scores that are not in [0, 1].
ScoreTable read_scores(const std::string& path, const Dataset& data);
void write_scores(const std::string& path, const ScoreTable& table, const Dataset& data, bool json_lines);

}  // namespace sllmr
