#include "host/ask/answer_number.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "host/base/trim.h"

namespace sllmr::answers {
namespace {

/// The fraction behind a decimal comma at text[at]; `whole` is what stands before it. Nothing for what may be
/// thousands ("1,000"), and for lists ("1,2,3").
std::optional<double> decimal_comma(std::string_view whole, std::string_view text, std::size_t& at) {
  std::size_t end = at + 1;
  while (end < text.size() && is_digit(text[end])) ++end;
  const std::string_view fraction = text.substr(at + 1, end - at - 1);
  at = end;
  const bool goes_on =
      end + 1 < text.size() && (text[end] == ',' || text[end] == '.') && is_digit(text[end + 1]);
  const bool thousands = fraction.size() == 3 && whole.find_first_not_of("0-+") != whole.npos;
  if (goes_on || thousands) {
    while (at < text.size() && (is_digit(text[at]) || text[at] == ',' || text[at] == '.')) ++at;
    return std::nullopt;
  }
  const std::string digits = fmt::format("{}.{}", whole, fraction);
  double value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

/// "0,85", perhaps; most texts have none.
bool has_tight_comma(std::string_view text) {
  for (std::size_t at = text.find(','); at != text.npos; at = text.find(',', at + 1)) {
    if (at > 0 && is_digit(text[at - 1]) && at + 1 < text.size() && is_digit(text[at + 1])) return true;
  }
  return false;
}

}  // namespace

LeadingNumber leading_number(std::string_view text) {
  const auto parse = [&](std::size_t from, double& value) -> std::size_t {
    const auto [at, error] = std::from_chars(text.data() + from, text.data() + text.size(), value);
    if (error != std::errc() || !std::isfinite(value)) return 0;
    return static_cast<std::size_t>(at - text.data());
  };
  const auto skip_blanks = [&](std::size_t at) {
    while (at < text.size() && text[at] == ' ') ++at;
    return at;
  };
  const std::size_t from = text.starts_with('+') ? 1 : 0;
  Number number;
  std::size_t at = parse(from, number.value);
  if (at == 0) return {};
  const auto digit_follows = [&](std::size_t k) { return k + 1 < text.size() && is_digit(text[k + 1]); };
  const std::string_view whole = text.substr(from, at - from);
  if (at < text.size() && text[at] == ',' && digit_follows(at) &&
      whole.find_first_not_of("0123456789-") == whole.npos) {
    const auto value = decimal_comma(whole, text, at);
    if (!value) return {std::nullopt, at};
    number = {*value, false, true};
  }
  const std::size_t next = skip_blanks(at);
  if (next < text.size() && text[next] == '%') {
    number = {number.value / 100, true, true};
    at = next + 1;
  } else if (next < text.size() && text[next] == '/') {
    double whole_value = 0;
    const std::size_t after = parse(skip_blanks(next + 1), whole_value);
    if (after > 0 && whole_value > 0) {
      number = {number.value / whole_value, true, true};
      at = after;
    }
  }
  // "5-star", "3rd", "0.5-0.7", "1.2.3", and decimal signs of other scripts.
  std::size_t sign = at;
  while (sign < text.size() && static_cast<unsigned char>(text[sign]) >= 0x80) ++sign;
  const bool other_sign = sign > at && sign < text.size() && is_digit(text[sign]);
  const bool glued =
      at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_');
  const bool joined =
      at + 1 < text.size() && (text[at] == '-' || text[at] == '.') &&
      (is_digit(text[at + 1]) || (text[at] == '-' && std::isalnum(static_cast<unsigned char>(text[at + 1]))));
  if (other_sign || glued || joined) return {std::nullopt, std::max(at, sign)};
  return {number, at};
}

std::optional<Number> number_in_string(std::string_view text) {
  text = trim(text);
  LeadingNumber found = leading_number(text);
  if (!found.number || found.used != text.size()) return std::nullopt;
  found.number->converted = true;
  return found.number;
}

std::optional<std::string> with_decimal_points(std::string_view text, std::size_t candidates) {
  if (!has_tight_comma(text)) return std::nullopt;
  std::string result;
  char before = 0, before_that = 0;  // the last characters outside of strings that are no blanks
  const auto next_character = [&](std::size_t at) {
    while (at < text.size() && trim(text.substr(at, 1)).empty()) ++at;
    return at < text.size() ? text[at] : '\0';
  };
  const auto number_at = [&](std::size_t at) {
    std::size_t end = at + (text[at] == '-');
    while (end < text.size() && is_digit(text[end])) ++end;
    return end;
  };
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    std::size_t end = at + 1;
    if (c == '"') {
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
    } else if (c == '[') {
      // Commas of both kinds: "[0,85, 0,7]".
      const std::size_t close = text.find_first_not_of("0123456789-,. \t\r\n", at + 1);
      const std::string_view inner =
          close == text.npos || text[close] != ']' ? "" : text.substr(at + 1, close - at - 1);
      std::size_t tight = 0, loose = 0;
      std::string points;
      for (std::size_t k = 0; k < inner.size(); ++k) {
        const bool comma = inner[k] == ',' && k > 0 && k + 1 < inner.size() && is_digit(inner[k - 1]);
        const bool decimal = comma && is_digit(inner[k + 1]);
        tight += decimal;
        loose += comma && !decimal;
        points += decimal ? '.' : inner[k];
      }
      if (tight > 0 && loose > 0) {
        end = close;
        result += loose + 1 == candidates ? "[" + points : std::string("[null");
        before_that = '[';
        before = '0';
        at = end;
        continue;
      }
    } else if ((c == '-' || is_digit(c)) && (before == ':' || (before == ',' && before_that == '"'))) {
      end = number_at(at);
      if (end + 1 < text.size() && text[end] == ',' && is_digit(text[end + 1])) {
        std::size_t after = end;
        const auto value = decimal_comma(text.substr(at, end - at), text, after);
        if (before == ':' || next_character(after) == ']') {
          result +=
              value ? fmt::format("{}.{}", text.substr(at, end - at), text.substr(end + 1, after - end - 1))
                    : fmt::format("\"{}\"", text.substr(at, after - at));
          before_that = before;
          before = '0';
          at = after;
          continue;
        }
      }
    }
    result += text.substr(at, end - at);
    if (!trim(text.substr(at, 1)).empty()) {
      before_that = before;
      before = c;
    }
    at = end;
  }
  return result;
}

}  // namespace sllmr::answers
