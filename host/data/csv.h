#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sllmr {

/// Splits a line of a comma-separated file, or one with another separator; a field in double quotes may hold
/// separators, and a doubled quote stands for one. Fields are views of `line` or, where it has quotes, of
/// `unquoted`, which is written for that. False where a quote is not closed.
bool split_csv(std::string_view line, char separator, std::string& unquoted,
               std::vector<std::string_view>& fields);

}  // namespace sllmr
