// Markers of thoughts in a model's text: where one begins and ends.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sllmr::thoughts {

struct Marker {
  enum class Kind {
    open,
    close,
    answer,  // the channel of the answer begins
    aside,   // another channel begins
    end,     // a message of any channel ends
  };
  std::size_t begin = 0, end = 0;
  Kind kind = Kind::open;
  std::string family;  // of open and close: they match within it
};

/// All markers of the text, in order; they do not overlap. Linear in the text.
std::vector<Marker> find_markers(std::string_view text);

/// Is this the name of a tag around thoughts: <think>, [THINK]?
bool is_thought(std::string_view name);

/// Whether an end of this family means something only behind its beginning: <details> without a type, and
/// fences around anything else, end in the same way.
bool is_shared_end(std::string_view family);

/// The first byte from `at` on that is no white space, or the text's end.
std::size_t skip_spaces(std::string_view text, std::size_t at);

}  // namespace sllmr::thoughts
