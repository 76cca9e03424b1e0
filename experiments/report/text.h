// Results as text for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/guidance/registry.h"

namespace sllmr {

/// A table of ranking metrics by slice, from to_json(RankingResult).
std::string figures_text(const nlohmann::json& result);
/// What `sllmr train` prints, from summary.json.
std::string summary_text(const nlohmann::json& summary, const std::string& run_dir);
/// Columns padded to their widest cell; the first left, the others right.
std::string aligned(const std::vector<std::vector<std::string>>& rows);
/// What a run's guidance tells; null where it tells nothing of the kind.
nlohmann::json guidance_figure(const nlohmann::json& summary, const GuidanceColumn& column);
/// "0.7134", or "-" for null.
std::string figure(const nlohmann::json& value);

}  // namespace sllmr
