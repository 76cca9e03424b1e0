// Results as text for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace sllmr {

/// A table of ranking metrics by slice, from to_json(RankingResult).
std::string figures_text(const nlohmann::json& result);
/// What `sllmr train` prints, from summary.json.
std::string summary_text(const nlohmann::json& summary, const std::string& run_dir);
/// Columns padded to their widest cell; the first left, the others right.
std::string aligned(const std::vector<std::vector<std::string>>& rows);

}  // namespace sllmr
