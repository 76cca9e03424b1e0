// Answers of one token.
#pragma once

#include <array>
#include <string_view>

#include "host/base/trim.h"

namespace sllmr::answers {

/// `text` without the spelling of a word's start in common vocabularies.
inline std::string_view bare_token(std::string_view token) {
  constexpr std::array<std::string_view, 2> kWordStarts = {"\xE2\x96\x81",
                                                           "\xC4\xA0"};  // of SentencePiece, BPE
  for (const std::string_view start : kWordStarts) {
    if (token.starts_with(start)) token.remove_prefix(start.size());
  }
  return trim(token, " \t\r\n\"'().:*");
}

}  // namespace sllmr::answers
