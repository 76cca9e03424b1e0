#include "host/base/json_text.h"

namespace sllmr {
namespace {

bool opens(char c) {
  return c == '[' || c == '{';
}
bool closes(char c) {
  return c == ']' || c == '}';
}

/// Where, from `at` on, the first character outside strings stands of which stop(c), called for each of them
/// in turn, is true.
template <class Stop>
std::size_t find_outside_strings(std::string_view text, std::size_t at, const Stop& stop) {
  bool in_string = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (stop(c)) {
      return at;
    }
  }
  return text.npos;
}

/// Whether, outside strings, brackets are open deeper than kDeepestJson, or commas and opening brackets tell
/// of more than `most_values` values. Of text that is no JSON it may say either.
bool too_large(std::string_view text, std::size_t most_values) {
  std::size_t depth = 0, values = 1;
  const std::size_t too_deep = find_outside_strings(text, 0, [&](char c) {
    if (c == ',' || opens(c)) ++values;
    if (closes(c) && depth > 0) --depth;
    return opens(c) && ++depth > kDeepestJson;
  });
  return too_deep != text.npos || values > most_values;
}

}  // namespace

std::optional<nlohmann::json> parse_json(std::string_view text, std::size_t most_values) {
  if (too_large(text, most_values)) return std::nullopt;
  nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

std::size_t json_end(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  const std::size_t end = find_outside_strings(text, at, [&](char c) {
    if (opens(c)) return ++depth > kDeepestJson;
    return closes(c) && --depth == 0;
  });
  return end == text.npos || depth > kDeepestJson ? text.npos : end + 1;
}

std::string json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sllmr
