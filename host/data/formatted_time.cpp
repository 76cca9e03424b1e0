#include "host/data/formatted_time.h"

#include <fmt/format.h>

#include <ctime>

namespace sllmr {

Time formatted_time(const LineReader& reader, std::string_view text, const std::string& format,
                    std::string_view remedy) {
  std::tm parts{};
  const std::string cell(text);
  const char* end = ::strptime(cell.c_str(), format.c_str(), &parts);
  if (end == nullptr || *end != '\0')
    reader.fail(fmt::format("'{}' is no time as '{}' writes it; {}", cell, format, remedy));
  return reader.time(std::to_string(::timegm(&parts)), "time");
}

}  // namespace sllmr
