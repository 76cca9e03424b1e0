#include "host/data/date_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr Time kOne = 1'000'000'000'000'000'000;  // of any unit
constexpr std::int64_t kSecondsOfDay = 86'400;
constexpr std::int64_t kMostSeconds = 100'000'000'000;  // the year 5138

/// The first second of a day that is written as 2018-01-31; days after 5138 are as far away as its.
std::optional<std::int64_t> parse_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  unsigned parts[3] = {};
  const std::string_view digits[] = {text.substr(0, 4), text.substr(5, 2), text.substr(8, 2)};
  for (int k = 0; k < 3; ++k) {
    const char* const end = digits[k].data() + digits[k].size();
    const auto [stopped, error] = std::from_chars(digits[k].data(), end, parts[k]);
    if (error != std::errc() || stopped != end) return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(parts[0])),
                                         std::chrono::month(parts[1]), std::chrono::day(parts[2])};
  if (!date.ok()) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return std::min(days * kSecondsOfDay, kMostSeconds);
}

/// How many of the data's unit a second has.
Time units_of_second(const std::string& path, Time latest) {
  require(
      latest >= 100'000'000 * kOne,
      fmt::format("{}: its times are no seconds, milli-, micro- or nanoseconds since 1970; give data.from "
                  "and data.to as numbers",
                  path));
  for (std::int64_t units = 1; units < 1'000'000'000; units *= 1000) {
    if (latest < Time{kMostSeconds} * kOne * units) return units;
  }
  return 1'000'000'000;
}

TimeBound bound_of(std::string_view key, const std::string& text) {
  const std::optional<TimeBound> bound = parse_time_bound(text);
  require(bound.has_value(),
          fmt::format("{} is '{}'; write a date such as 2018-01-31, or a number in the unit of the data's "
                      "times",
                      key, text));
  return *bound;
}

}  // namespace

std::optional<TimeBound> parse_time_bound(std::string_view text) {
  if (const auto seconds = parse_date(text)) return TimeBound{*seconds * kOne, true};
  if (const auto number = parse_time(text)) return TimeBound{*number, false};
  return std::nullopt;
}

bool has_dates(const ImportOptions& options) {
  return !options.from.empty() || !options.to.empty();
}

TimeRange time_range(const ImportOptions& options, const std::string& path, Time latest) {
  TimeRange range;
  if (!options.from.empty()) {
    const TimeBound from = bound_of("data.from", options.from);
    range.first = from.is_date ? from.value * units_of_second(path, latest) : from.value;
  }
  if (!options.to.empty()) {
    const TimeBound to = bound_of("data.to", options.to);
    const Time day_after = to.value + kSecondsOfDay * kOne;
    range.last = to.is_date ? day_after * units_of_second(path, latest) - 1 : to.value;
  }
  require(!range.first || !range.last || *range.first <= *range.last,
          fmt::format("data.from={} is later than data.to={}; exchange them", options.from, options.to));
  return range;
}

void refuse_dates(const ImportOptions& options, const std::string& path) {
  require(!has_dates(options),
          fmt::format("{}: its rows have no times to choose by; leave data.from and data.to out", path));
}

}  // namespace sllmr
