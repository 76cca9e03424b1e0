// How good a score table is, before any training, in one document.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/scores/leakage_audit.h"
#include "host/scores/score_table.h"
#include "host/scores/table_origin.h"
#include "host/scores/table_quality.h"

namespace sllmr {

/// Everything as JSON: {"table", "origin", "leakage", "coverage", "cost", "reliability", "calibration",
/// "position_bias", "freshness"}. `origin` adds what only the scoring run knows: cost, position bias, prompt
/// audit.
nlohmann::json report(const ScoreTable& table, const Split& split, const std::optional<TableOrigin>& origin,
                      std::int64_t now);

}  // namespace sllmr
