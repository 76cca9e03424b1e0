// How far what users take together agrees with what an encoder of texts holds alike.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "host/data/split.h"

namespace sllmr {

/// By item [items + 1], in [0, 1]: how far above chance the training users of an item have one of its `k`
/// neighbours, nearest [items + 1 x k], as well. With n users of the item, h of them with a neighbour, and p
/// = 1 - prod(1 - n_j / users) over its neighbours j the share that independence would make of them, it is (h
/// - n p) / (n (1 - p)), as Cohen's kappa, within [0, 1]. The same of all items together, from the sums of
/// numerators and denominators, counts as 5 users more, so that a rare item is believed as items are on the
/// whole. From training interactions alone.
std::vector<float> text_agreement(const Split& split, std::span<const Id> nearest, std::size_t k);

}  // namespace sllmr
