// Listings: the scores of one answer by label, before they are scores of candidates.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

#include "host/ask/answer.h"
#include "host/ask/answer_number.h"

namespace sllmr::answers {

inline constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();

/// A label and what stands for its score.
struct Pair {
  std::size_t position = kUnknown;  // in the prompt; kUnknown: a label that it does not have
  std::optional<Number> value;
  bool contradicted = false;  // by an earlier pair of the same list
};

/// One answer of a text, which may hold several: each label once.
struct Listing {
  std::vector<Pair> pairs;
  std::size_t named = 0;
  AnswerFaults faults;
  std::size_t begin = 0;  // in the text
  bool cut_off = false;   // by the end of the text
  bool aside = false;     // said to be a rank, a doubt, a draft
};

/// Splits lists of pairs into listings: a list with a label that was named before begins another one.
class Listings {
 public:
  explicit Listings(std::size_t candidates) : last_(candidates, 0), index_(candidates, 0) {}

  std::vector<Listing> all;

  /// What comes next is another answer, which begins at `offset` of the text.
  void begin(std::size_t offset, bool cut_off = false, bool aside = false);
  /// Adds to the last listing, of which there must be one, or to another that begins at `offset`.
  void add(const std::vector<Pair>& list, std::size_t offset);

 private:
  std::vector<std::size_t> last_;   // by candidate: number of the listing that named it last
  std::vector<std::size_t> index_;  // by candidate: its pair's there
};

/// The scores, brought to [0, 1] by the listing's scale (answer.h).
ReadAnswer scores_of(const Listing& listing, std::size_t candidates);

}  // namespace sllmr::answers
