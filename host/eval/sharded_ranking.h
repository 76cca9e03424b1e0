// Ranking where several ranks share out the items.
#pragma once

#include "host/eval/ranking_plan.h"
#include "models/scorer.h"

namespace sllmr {

/// Counts and lists of the plan's users, the same on every rank, by all ranks at once: each scores its own
/// items for the users, tile by tile, and counts them; the numbers add up. Of a model of inner products,
/// whose tables' rows are shared out alike, it hears the users' rows for that. Throws Interrupted on all
/// ranks when one is asked to stop.
Ranked rank_shares(const Context& context, const Scorer& scorer, const RankingPlan& plan, int list_length);

}  // namespace sllmr
