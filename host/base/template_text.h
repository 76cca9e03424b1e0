// Texts with named fields in braces, and what may stand in them.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace sllmr {

/// Replaces each {name} by `value(name)`. Braces around anything but a lower-case name are text.
std::string fill_fields(std::string_view text, const std::function<std::string(std::string_view)>& value);

/// Throws Error "<what> has no field {name}; the fields are ..." for a field of `text` that is not `known`.
void check_fields(std::string_view what, std::string_view text, std::span<const std::string_view> known);

/// `text` on one line: white space and control characters shrink to blanks, none at the ends, so that it
/// cannot forge lines of its own; at most `most_bytes`, cut between two characters of UTF-8.
std::string one_line(std::string_view text, std::size_t most_bytes);

}  // namespace sllmr
