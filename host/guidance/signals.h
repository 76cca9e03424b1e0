// What a gate knows of users and items before training.
#pragma once

#include <vector>

#include "host/data/split.h"
#include "host/scores/score_table.h"
#include "kernels/gates/signals.h"

namespace sllmr {

/// By user: cold (0 or 1), log(1 + training items) and log(1 + popularity) as shares of the largest, and the
/// entropy of the scores as a distribution over the user's candidates, as a share of the largest.
std::vector<UserSignals> user_signals(const Split& split, const ScoreTable& table);
std::vector<ItemSignals> item_signals(const Split& split);

}  // namespace sllmr
