// The quality report of a score table for people: Markdown and a heat map.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sllmr {

/// Markdown of report() of host/scores/report.h.
std::string llm_report_text(const nlohmann::json& report);
/// The reliability map as an SVG: a cell's colour is the agreement (white at chance, blue above, red below),
/// its text the agreement, the interval and the number of users.
std::string reliability_svg(const nlohmann::json& report);

}  // namespace sllmr
