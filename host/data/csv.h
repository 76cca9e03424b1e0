#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sllmr {

/// Splits a line of a comma-separated file, or one with another separator; a field in double quotes may hold
/// separators, and a doubled quote stands for one. False where a quote is not closed.
bool split_csv(std::string_view line, char separator, std::vector<std::string>& fields);

}  // namespace sllmr
