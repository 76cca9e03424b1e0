// Numbers as models write them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sllmr::answers {

/// A number as a model writes one.
struct Number {
  double value = 0;
  bool scaled = false;     // its scale is known: a percentage, "8/10"
  bool converted = false;  // it was not a plain number
};

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// What stands where a number should be: `used` bytes, 0 where it is none. Without a number it is written
/// like one and may mean several things.
struct LeadingNumber {
  std::optional<Number> number;
  std::size_t used = 0;
};

/// The number at the start of `text`, such as "0.8", "80%", "8/10" and "0,85". "nan" and words are nothing.
LeadingNumber leading_number(std::string_view text);

/// The number that a string is, blanks around it left out; nothing for any other string.
std::optional<Number> number_in_string(std::string_view text);

/// The JSON `text` with points for its decimal commas: where a comma cannot part two values, and in arrays of
/// numbers that then are one a candidate. What may be thousands becomes a string, which is no number. Nothing
/// where no comma stands between two digits, as in most texts.
std::optional<std::string> with_decimal_points(std::string_view text, std::size_t candidates);

}  // namespace sllmr::answers
