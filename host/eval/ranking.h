// The `full` protocol: a user's held-out item against the whole catalogue.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <vector>

#include "host/data/split.h"
#include "models/scorer.h"

namespace sllmr {

enum class Target { validation, test };

/// One ranked item.
struct RankedRow {
  Id user, item;
  std::int32_t above, ties;  // negatives scored higher than the item, and the same
  std::int32_t negatives;

  /// The share of the negatives below the item, ties half.
  double auc() const;
  /// 1 is best; in the middle of the ties.
  double rank() const { return 1.0 + above + 0.5 * ties; }
};

/// Means over `n` rows. Without a row there is no AUC and the lists are empty.
struct RankingSlice {
  std::int64_t n = 0;
  std::optional<double> auc;
  std::vector<double> recall, ndcg;  // one for each of RankingResult::top_k
};

struct RankingResult {
  std::vector<int> top_k;
  RankingSlice all;
  RankingSlice cold;                   // rows of cold users
  RankingSlice tail;                   // rows whose item is in the tail
  std::vector<RankedRow> rows;         // by user
  std::int64_t without_negatives = 0;  // rows left out because the user has touched every other item
};

/// Throws Error where evaluate_full() would have no row to rank.
void check_rankable(const Split& split, Target target, int max_users = 0);

/// Ranks each user's test item against all items that the user has not interacted with in training or
/// validation; for Target::validation, against all that the user has not interacted with in training: the
/// test item is then an ordinary negative, as nothing may know it. Users without such an item are left out.
/// Ties count as if broken at random. The result does not depend on the number of threads.
///
/// `max_users`: rank that many users only, evenly spread over those with such an item; 0: all.
///
/// Throws Error when a logit is NaN, when there is no row at all, when the model was not made for these data,
/// and for a cut-off below 1; Interrupted when the process is asked to stop (kernels/exec/interrupt.h).
RankingResult evaluate_full(const Context& context, const Scorer& scorer, const Split& split, Target target,
                            std::span<const int> top_k, int max_users = 0);

/// {"protocol": "full", "n": {"all": .., "cold": .., "tail": ..}, "auc": {..}, "recall@10": {..}, "ndcg@10":
/// {..}, "without_negatives": ..}; null stands where a slice has no row.
nlohmann::json to_json(const RankingResult& result);

}  // namespace sllmr
