#include "host/data/formatted_time.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

namespace sllmr {
namespace {

/// timegm(), whose work on time zones takes as long as the rest of a line.
std::int64_t seconds_of(const std::tm& parts) {
  using namespace std::chrono;
  const year_month_day first{year(parts.tm_year + 1900), month(static_cast<unsigned>(parts.tm_mon) + 1),
                             day(1)};
  const sys_days date = sys_days(first) + days(parts.tm_mday - 1);
  return seconds(date.time_since_epoch()).count() + parts.tm_hour * 3600 + parts.tm_min * 60 + parts.tm_sec;
}

}  // namespace

Time formatted_time(const LineReader& reader, std::string_view text, const std::string& format,
                    std::string_view remedy) {
  std::tm parts{};
  const std::string cell(text);
  const char* end = ::strptime(cell.c_str(), format.c_str(), &parts);
  if (end == nullptr || *end != '\0')
    reader.fail(fmt::format("'{}' is no time as '{}' writes it; {}", cell, format, remedy));
  constexpr Time kSecond = 1'000'000'000'000'000'000;
  return seconds_of(parts) * kSecond;
}

}  // namespace sllmr
