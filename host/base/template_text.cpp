#include "host/base/template_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "kernels/exec/error.h"

namespace sllmr {

std::string fill_fields(std::string_view text, const std::function<std::string(std::string_view)>& value) {
  std::string filled;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text[at] == '{' ? text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1) : at;
    if (text[at] == '{' && end != text.npos && end > at + 1 && text[end] == '}') {
      filled += value(text.substr(at + 1, end - at - 1));
      at = end + 1;
    } else {
      filled += text[at++];
    }
  }
  return filled;
}

void check_fields(std::string_view what, std::string_view text, std::span<const std::string_view> known) {
  fill_fields(text, [&](std::string_view field) -> std::string {
    require(std::ranges::find(known, field) != known.end(),
            fmt::format("{} has no field {{{}}}; the fields are {}", what, field, fmt::join(known, ", ")));
    return {};
  });
}

std::string one_line(std::string_view text, std::size_t most_bytes) {
  std::string line;
  for (const char c : text) {
    const bool blank = static_cast<unsigned char>(c) <= ' ' || c == '\x7F';
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (line.size() > most_bytes) {
    std::size_t end = most_bytes;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) --end;
    line.resize(end);
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace sllmr
