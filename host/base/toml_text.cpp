#include "host/base/toml_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// The position behind the string that begins at `text[at]`, a quote.
std::size_t behind_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const std::string fence(text.substr(at).starts_with(std::string(3, quote)) ? 3 : 1, quote);
  for (at += fence.size(); at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (text.substr(at).starts_with(fence) || (fence.size() == 1 && text[at] == '\n')) {
      return at + fence.size();
    }
  }
  return text.size();
}

/// The line in which a key or a value gets too deep; 0 where none does. Of text that is no TOML it may say
/// either.
std::size_t too_deep_at(std::string_view text) {
  std::size_t line = 1, depth = 0, parts = 1;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      const std::size_t end = behind_string(text, at);
      line += static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(at),
                                                  text.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
      at = end;
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '.') ++parts;
    if (c == '\n') ++line;
    // What ends a key begins the next one.
    if (c == '\n' || c == '=' || c == ',' || c == '[' || c == '{') parts = 1;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > kDeepestToml || parts > kDeepestToml) return line;
    ++at;
  }
  return 0;
}

}  // namespace

toml::table parse_toml(std::string_view text, const std::string& origin) {
  if (const std::size_t line = too_deep_at(text); line > 0) {
    throw Error(fmt::format("{}:{}: not TOML, or nested deeper than {}", origin, line, kDeepestToml));
  }
  try {
    return toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    throw Error(fmt::format("{}:{}: not TOML: {}", origin, error.source().begin.line, error.description()));
  }
}

}  // namespace sllmr
