// Ranking by inner products where several ranks share out the rows of both tables.
#pragma once

#include "host/eval/ranking_plan.h"
#include "models/scorer.h"

namespace sllmr {

/// Counts and lists of the plan's users, the same on every rank, by all ranks at once: each hears the users'
/// rows, tile by tile, and counts its own items (of `item_rows` on all ranks), whose numbers add up. Throws
/// Interrupted on all ranks when one is asked to stop.
Ranked rank_shares(const Context& context, const Factors& factors, Id item_rows, const RankingPlan& plan,
                   int list_length);

}  // namespace sllmr
