// Reading JSON that somebody else wrote, and writing JSON that may hold any bytes.
#pragma once

#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace sllmr {

/// JSON nested deeper than this is refused: nlohmann's copies, dumps and walks recurse, so a deep document
/// ends the program by a stack overflow.
inline constexpr std::size_t kDeepestJson = 64;

/// The most values that a server's reply may hold: enough for 64 embeddings of 16,384 numbers, or an answer
/// with log-probabilities of thousands of tokens. As small objects or strings that many take some 150 MB;
/// without a limit the replies that the client takes (16 MiB) would take five times as much.
inline constexpr std::size_t kMostReplyValues = std::size_t{1} << 20;

/// The JSON value in `text`; a byte order mark before it is skipped. Nothing where it is not one JSON value,
/// is nested deeper than kDeepestJson, or may hold more than `most_values` values, counted before anything is
/// allocated: one, one a comma and one an opening bracket, so that an empty object in an array counts as two.
/// Never throws for what the text holds. Every parse of foreign JSON goes through here.
std::optional<nlohmann::json> parse_json(std::string_view text,
                                         std::size_t most_values = std::numeric_limits<std::size_t>::max());

/// Where the brackets that open at `at` (of text that holds '{' or '[' there) are closed, the index after it;
/// brackets in strings do not count. npos where they are not, or are nested deeper than kDeepestJson.
std::size_t json_end(std::string_view text, std::size_t at);

/// `value` in one line; bytes that are not UTF-8 are replaced.
std::string json_text(const nlohmann::json& value);

}  // namespace sllmr
