// Reading TOML that somebody else wrote.
#pragma once

#include <toml++/toml.h>
#include <cstddef>
#include <string>
#include <string_view>

namespace sllmr {

/// Keys of more parts (a.b.c has 3) and values nested deeper are refused: toml++ recurses over both, so that
/// a deep document ends the program by a stack overflow.
inline constexpr std::size_t kDeepestToml = 32;

/// The table that `text` holds. Throws Error "<origin>:<line>: ..." where it is not TOML or nested too deep.
/// Every parse of TOML goes through here.
toml::table parse_toml(std::string_view text, const std::string& origin);

}  // namespace sllmr
