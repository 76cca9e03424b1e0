// Offline LLM scores of (user, item) pairs, by user, sorted by score.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/data/dataset.h"
#include "host/data/split.h"

namespace sllmr {

/// One scored pair.
struct LlmScore {
  Id user = 0;
  Id item = 0;
  float score = 0;     // in [0, 1]
  bool probe = false;  // the user's last training item, left out of the prompt's history
  float variance = 0;  // see ScoreTable::variances
};

/// CSR by user; entries of a user sorted by score, highest first, ties by item id.
struct ScoreTable {
  std::vector<std::int64_t> offsets;  // users.rows() + 1
  std::vector<Id> items;
  std::vector<float> scores;
  /// Of each entry 4 times the variance of its scores over prompts that show the candidates in other orders,
  /// in [0, 1]: 1 is a judge who says 0 as often as 1. Empty: 0 everywhere, as where one prompt was all.
  std::vector<float> variances;
  std::vector<std::int32_t> probe;  // by user: index of the probe among the user's entries, -1 without one
  std::string scorer;               // who judged: "lexical", "file:toys.scores"
  std::int64_t unknown_rows = 0;    // of the file, left out: they name users or items that the data lack

  std::int64_t size() const { return static_cast<std::int64_t>(items.size()); }
  /// Users with at least one entry.
  std::int64_t scored_users() const;
  std::span<const Id> items_of(Id user) const;
  std::span<const float> scores_of(Id user) const;
  /// Of entry `k` of items_of(user).
  float variance_of(Id user, std::size_t k) const;
  /// Index of the user's probe among the user's entries, where there is another one to compare it with.
  std::optional<std::size_t> compared_probe(Id user) const;
};

/// Where scores[i] comes from, as the beginning of an error message: "toys.scores:12: ".
using ScoreOrigin = std::function<std::string(std::size_t)>;

/// Builds the table. Throws Error, with `origin` in front, for a user or item outside the data, a duplicate
/// (user, item), a score or variance outside [0, 1] or not finite, two probes of one user.
ScoreTable make_score_table(const Dataset& data, std::span<const LlmScore> scores, std::string scorer,
                            const ScoreOrigin& origin = {});

/// The table's entries by user, each user's in the table's order: what make_score_table() takes.
std::vector<LlmScore> entries_of(const ScoreTable& table);

/// For a table without any probe: each user's last training item becomes the probe where it is among the
/// user's entries (and not the only training item: the prompt then had no history). Leaves a table with
/// probes as it is.
void mark_probes(ScoreTable& table, const Split& split);

/// Throws Error unless every probe is a training item of its user: a validation or test item as a probe would
/// leak. Among the plain candidates such items are legal; a strict pipeline does not know them. Call it
/// before training.
void check_probes(const ScoreTable& table, const Split& split);

/// What is wrong with `item` as a probe of `user`; empty when it is one of the user's training items.
std::string probe_fault(const Split& split, Id user, Id item);

/// How far the scores agree with what users did. Agreement of a user: the share of the other candidates
/// ranked below the probe, ties half; here its mean over users with a probe and another entry. NaN where
/// there is no such user.
struct ScoreStats {
  std::int64_t pairs = 0, users = 0, cold_users = 0,
               probes = 0;        // users, cold_users: with at least one entry
  float lowest = 0, highest = 0;  // score range
  double variance = 0;            // mean of the pairs'; see ScoreTable::variances
  float highest_variance = 0;
  double agreement = 0, agreement_cold = 0, agreement_warm = 0;
};
ScoreStats score_stats(const ScoreTable& table, const Split& split);

/// The least share of a score file's rows that must name users and items of the data, unless told otherwise.
inline constexpr double kMinKnown = 0.5;

/// TSV (`user_id item_id score [probe] [variance]`, header `name[:type]`) and JSON lines of objects with the
/// same keys. The reader tells them by content. Rows that name unknown users or items are left out, counted
/// and told on standard error. Throws Error naming file and line where the share of the others is below
/// `min_known` or there are none, for unknown columns, malformed, empty or truncated lines, and for all that
/// make_score_table refuses.
ScoreTable read_scores(const std::string& path, const Dataset& data, double min_known = kMinKnown);
/// The same, then mark_probes() and check_probes(), the latter naming file and line.
ScoreTable read_scores(const std::string& path, const Split& split, double min_known = kMinKnown);
/// Writes the whole table or nothing; read_scores() gives back the same table, bit by bit.
void write_scores(const std::string& path, const ScoreTable& table, const Dataset& data, bool json_lines);

}  // namespace sllmr
