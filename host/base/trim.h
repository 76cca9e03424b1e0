#pragma once

#include <string_view>

namespace sllmr {

/// `text` without the characters of `what` at its two ends.
inline std::string_view trim(std::string_view text, std::string_view what = " \t\r\n") {
  const auto first = text.find_first_not_of(what);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(what) - first + 1);
}

}  // namespace sllmr
