// Scores in prose and lists.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "host/ask/answer_labels.h"
#include "host/ask/answer_listing.h"

namespace sllmr::answers {

/// A pair in prose and the bytes [begin, end) that spell it.
struct PairInText {
  Pair pair;
  std::size_t begin = 0, end = 0;
};

/// "A: 0.8", "(B) = 70%", "C. NaN": a word that is a label, something between, a number. In their order.
std::vector<PairInText> read_pairs(std::string_view text, const CandidateLabels& labels);

/// Whether text[begin, end) holds no word that is not in one of the pairs [first, last), but for "Item".
bool nothing_else(std::string_view text, std::size_t begin, std::size_t end, const PairInText* first,
                  const PairInText* last);

}  // namespace sllmr::answers
