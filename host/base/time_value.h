// Times of interactions, of any unit.
#pragma once

#include <optional>
#include <string_view>

namespace sllmr {

/// A time in 10^-18 of its unit. A double would give nanoseconds since 1970, and every integer beyond 2^53,
/// the times of its neighbours.
__extension__ using Time = __int128;

/// The time that is written in `text` as a decimal number, with or without exponent; digits beyond the 18th
/// decimal place are dropped. Nothing where `text` is no finite number or one of 1.7e20 and more.
std::optional<Time> parse_time(std::string_view text);

}  // namespace sllmr
