// The times between data.from and data.to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "host/base/time_value.h"
#include "host/data/import.h"

namespace sllmr {

/// An end of the range.
struct TimeBound {
  Time value;    // of a date: its first second in UTC, since 1970
  bool is_date;  // else a number in the unit of the data
};

/// What "2018-01-31" or a number says; nothing for other text.
std::optional<TimeBound> parse_time_bound(std::string_view text);

/// Whether `options` choose rows by their time.
bool has_dates(const ImportOptions& options);

/// Times from `first` to `last`, both included, where they are given.
struct TimeRange {
  std::optional<Time> first, last;

  bool contains(Time time) const { return (!first || time >= *first) && (!last || time <= *last); }
};

/// The range of `options`, of data in `path` whose largest time is `latest`. Dates are turned into the data's
/// unit, which `latest` tells: below 1e11 it is seconds since 1970, below 1e14 milliseconds, below 1e17
/// microseconds, else nanoseconds. A date as the end includes its whole day. Throws Error for other text, a
/// range that ends before it begins, and dates where `latest` is below 1e8 (3 March 1973 in seconds), which
/// is an order or a year rather than a time since 1970.
TimeRange time_range(const ImportOptions& options, const std::string& path, Time latest);

/// Throws Error where `options` choose by time: the rows of `path` have none.
void refuse_dates(const ImportOptions& options, const std::string& path);

}  // namespace sllmr
