// The `full` protocol: a user's held-out item against the whole catalogue.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "host/data/split.h"
#include "host/eval/metric.h"
#include "models/scorer.h"

namespace sllmr {

enum class Target { validation, test };

struct RankingResult {
  std::vector<RankedRow> rows;         // by user
  std::vector<Id> lists;               // [rows x list_length], best first; 0 after a row's last item
  int list_length = 0;                 // 0: no lists were made
  std::int64_t without_negatives = 0;  // rows left out because the user has touched every other item
  Figures figures;
};

/// Throws Error where evaluate_full() would have no row to rank.
void check_rankable(const Split& split, Target target, int max_users = 0);

/// Ranks each user's test item against all items that the user has not interacted with in training or
/// validation; for Target::validation, against all that the user has not interacted with in training: the
/// test item is then an ordinary negative, as nothing may know it. Users without such an item are left out.
/// Ties count as if broken at random. The result does not depend on the number of threads, but scores that
/// differ by a float's rounding alone may change places with the processor, and with `lists`.
///
/// `max_users`: rank that many users only, evenly spread over those with such an item; 0: all.
///
/// `lists`: also each user's best items, as many as the largest cut-off, of those that it is ranked among
/// (the held-out item is one of them); of items with the same score the one with the lower id comes first.
/// Without lists there are no figures of what needs them.
///
/// Throws Error when a logit is NaN, when there is no row at all, when the model was not made for these data,
/// and for a cut-off below 1; Interrupted when the process is asked to stop (kernels/exec/interrupt.h).
RankingResult evaluate_full(const Context& context, const Scorer& scorer, const Split& split, Target target,
                            std::span<const int> top_k, int max_users = 0, bool lists = false);

/// The `k` best items of each of `users` among those that the user has not interacted with in training,
/// [users x k], best first, of items with the same score the one with the lower id first; 0 where there are
/// no more. Made for a small `k`. Means nothing for a user of whom a logit is NaN. Throws Interrupted when
/// the process is asked to stop.
std::vector<Id> best_items(const Context& context, const Scorer& scorer, const Split& split,
                           std::span<const Id> users, int k);

/// {"protocol": "full", "without_negatives": .., "n": {"all": .., "cold": .., "tail": ..}, "auc": {..},
/// "recall@10": {..}, ...}; see add_figures().
nlohmann::json to_json(const RankingResult& result);

}  // namespace sllmr
