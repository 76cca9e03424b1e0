// Which items' texts an encoder holds alike.
#pragma once

#include <vector>

#include "host/text/text_vectors.h"
#include "kernels/exec/context.h"

namespace sllmr {

/// Of every item the `k` others whose vectors have the largest cosine with its own, best first: [(items + 1)
/// x k], row 0 zero. Cosines within rounding (2^-16) of each other tie, the lower id first, so that machines
/// agree on items of one text. Of fewer others than k all are listed, again and again. Takes items^2 x width
/// products, once, with a progress bar. Throws Error for k < 1 and for fewer than two items, Interrupted when
/// the process is asked to stop.
std::vector<Id> nearest_items(const Context& context, const TextVectors& vectors, int k);

}  // namespace sllmr
