// What the scores and the text vectors of a run have cost before it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/config/config.h"
#include "host/guidance/guidance.h"

namespace sllmr {

/// From the notes beside the files that the run reads (host/scores/table_origin.h), of all answers, those
/// from the cache too: "tokens_in", "tokens_out", "money" in that of the prices that were given, and
/// "seconds" of the requests, added up; of vectors of written texts those of the writing too. Each null where
/// it is not known of every file: without a note of the very file, or where nobody was asked; of tokens where
/// the server did not tell them, of money without a price, of seconds where they were not measured. Throws
/// Error as read_origin().
nlohmann::json guidance_cost(const Config& config, const GuidanceReads& reads);

}  // namespace sllmr
