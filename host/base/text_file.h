// Small files of text that somebody else may have written: recipes, templates, notes beside tables.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sllmr {

inline constexpr std::size_t kLargestTextFile = std::size_t{64} << 20;

/// The bytes of a file, read once and to its end: pipes will do. Throws Error "cannot read <what> '<path>':
/// ..." for what is missing, a folder, not readable, or larger than kLargestTextFile.
std::string read_text_file(const std::string& path, std::string_view what);

/// Throws Error "<what> '<path>' is a pipe ..." for a pipe, which holds its text only once. For what is read
/// more than once; what does not exist passes, for its reader to tell.
void require_not_pipe(const std::string& path, std::string_view what);

}  // namespace sllmr
