// Times that are written as a calendar and a clock show them.
#pragma once

#include <string>
#include <string_view>

#include "host/base/line_reader.h"

namespace sllmr {

/// Seconds since 1970 of what `text`, in the current line of `reader`, says in UTC. `format` is
/// strptime(3)'s; `remedy` ends the error for text that is written otherwise.
Time formatted_time(const LineReader& reader, std::string_view text, const std::string& format,
                    std::string_view remedy);

}  // namespace sllmr
