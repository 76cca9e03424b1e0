// Reading JSON that somebody else wrote, and writing JSON that may hold any bytes.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sllmr {

/// JSON nested deeper than this is refused: nlohmann's copies, dumps and walks recurse, so a deep document
/// ends the program by a stack overflow.
inline constexpr std::size_t kDeepestJson = 64;

/// The JSON value in `text`; a byte order mark before it is skipped. Nothing where it is not one JSON value,
/// or is nested deeper than kDeepestJson. Never throws for what the text holds. Every parse of foreign JSON
/// goes through here.
std::optional<nlohmann::json> parse_json(std::string_view text);

/// Where the brackets that open at `at` (of text that holds '{' or '[' there) are closed, the place after it;
/// brackets in strings do not count. npos where they are not, or are nested deeper than kDeepestJson.
std::size_t json_end(std::string_view text, std::size_t at);

/// `value` in one line; bytes that are not UTF-8 are replaced.
std::string json_text(const nlohmann::json& value);

}  // namespace sllmr
