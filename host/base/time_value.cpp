#include "host/base/time_value.h"

#include <charconv>
#include <string>

namespace sllmr {

std::optional<Time> parse_time(std::string_view text) {
  constexpr int kDecimals = 18;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);

  std::string digits;  // without leading zeros
  bool any = false, fraction = false;
  int point = 0;  // places before the decimal point: 12.5 has digits 125 and point 2, .05 has 5 and -1
  std::size_t k = 0;
  for (; k < text.size(); ++k) {
    const char c = text[k];
    if (c == '.' && !fraction) {
      fraction = true;
    } else if (c >= '0' && c <= '9') {
      any = true;
      if (c != '0' || !digits.empty()) {
        digits += c;
        point += fraction ? 0 : 1;
      } else {
        point -= fraction ? 1 : 0;
      }
    } else {
      break;
    }
  }
  if (!any) return std::nullopt;
  if (k < text.size()) {
    if (text[k] != 'e' && text[k] != 'E') return std::nullopt;
    const char* begin = text.data() + k + 1;
    const char* const end = text.data() + text.size();
    if (end - begin > 1 && *begin == '+' && begin[1] != '-') ++begin;
    int exponent = 0;
    const auto [stopped, error] = std::from_chars(begin, end, exponent);
    constexpr int kLargest = 1'000'000;
    if (error != std::errc() || stopped != end || exponent > kLargest || exponent < -kLargest)
      return std::nullopt;
    point += exponent;
  }
  if (digits.empty()) return Time{0};
  constexpr int kMostPlaces = 40;
  if (point > kMostPlaces) return std::nullopt;

  Time time = 0;
  for (int place = 0; place < point + kDecimals; ++place) {
    const auto at = static_cast<std::size_t>(place);
    const int digit = at < digits.size() ? digits[at] - '0' : 0;
    if (__builtin_mul_overflow(time, Time{10}, &time) || __builtin_add_overflow(time, Time{digit}, &time)) {
      return std::nullopt;
    }
  }
  return negative ? -time : time;
}

}  // namespace sllmr
