// Python literals as JSON: older Amazon metadata are dictionaries as Python prints them.
#pragma once

#include <string>
#include <string_view>

namespace sllmr {

/// JSON text for a Python literal of dictionaries, lists, strings ('...', "...", u'...'), numbers, None, True
/// and False. JSON passes unchanged. What is not a literal comes out as text that is not JSON either: the
/// caller's JSON parser finds the error.
std::string python_to_json(std::string_view python);

}  // namespace sllmr
