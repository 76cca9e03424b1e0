// What a model thinks aloud, before or between what it answers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sllmr {

/// The parts [begin, end) of `text` that are the answer, in order: all but the thoughts.
///
/// A thought is what stands between an opening marker and its end, or the end of the text, and what stands
/// before a closing marker that nothing opened (the prompt's template did). Markers: <think>, <reasoning> and
/// their kin with attributes and in any case, which also end one another, <details type="reasoning">, blocks
/// of code named "thinking", [THINK], the tokens of Kimi, Seed, Cohere, Gemma and others,
/// and the channels of gpt-oss, of which only the last `final` is an answer, also where a server stripped
/// their tokens ("analysis...assistantfinal..."). A marker inside of whole JSON is a text like any other.
/// Linear in the text.
std::vector<std::pair<std::size_t, std::size_t>> answer_parts(std::string_view text);

/// The answer's parts joined by line breaks.
std::string without_thoughts(std::string_view text);

}  // namespace sllmr
