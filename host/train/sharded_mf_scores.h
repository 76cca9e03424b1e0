// Logits of matrix factorisation whose rows several ranks share out.
#pragma once

#include <span>
#include <vector>

#include "host/eval/ctr.h"
#include "models/mf.h"

namespace sllmr {

/// score_rows() by all ranks at once, each of which takes a share of the rows.
std::vector<float> score_shared_rows(const Context& context, const Mf& model, std::span<const CtrRow> rows);

}  // namespace sllmr
