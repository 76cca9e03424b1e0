// What the commands' flags take.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>
#include <type_traits>

namespace sllmr {

/// Of a flag: a number in [low, high], and neither NaN nor infinite, which CLI11 takes for numbers. Whole
/// where the bounds are.
template <class Number>
CLI::Validator number_in(Number low, Number high) {
  const std::string range = fmt::format("[{}, {}]", low, high);
  return CLI::Validator(
      [=](const std::string& text) {
        Number value{};
        const char* end = text.data() + text.size();
        const auto [stopped, error] = std::from_chars(text.data(), end, value);
        const bool fits = error == std::errc() && stopped == end && value >= low && value <= high;
        return fits ? std::string()
                    : fmt::format("'{}' is not {} in {}", text,
                                  std::is_integral_v<Number> ? "an integer" : "a number", range);
      },
      "in " + range);
}

/// --shard of a command that makes a table of runs.
inline void add_shard_option(CLI::App& command, std::string& shard) {
  command
      .add_option(
          "--shard", shard,
          "I/N: one of N processes that share the folder of --out, on one machine or on several: it takes "
          "the I-th of every N runs first, then what others have left")
      ->allow_extra_args(false)
      ->capture_default_str();
}

}  // namespace sllmr
