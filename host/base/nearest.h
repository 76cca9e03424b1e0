// "did you mean": the known name nearest to a wrong one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sllmr {

/// The candidate with the smallest edit distance to `name`; empty when `candidates` is.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace sllmr
