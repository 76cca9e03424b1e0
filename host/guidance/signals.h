// What a gate knows of users and items before training.
#pragma once

#include <vector>

#include "host/data/split.h"
#include "host/scores/score_table.h"
#include "kernels/gates/signals.h"

namespace sllmr {

/// What kernels/gates/signals.h says of them. score_entropy is that of the scores as a distribution over the
/// user's candidates; user_entropy that of the attributes of training items that are no brands, each as often
/// as it occurs: both as shares of the largest possible.
std::vector<UserSignals> user_signals(const Split& split, const ScoreTable& table);
std::vector<ItemSignals> item_signals(const Split& split);

}  // namespace sllmr
