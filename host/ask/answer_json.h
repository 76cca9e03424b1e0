// Scores in JSON.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "host/ask/answer_labels.h"
#include "host/ask/answer_listing.h"

namespace sllmr::answers {

/// The pairs of one object or array, those of its children {"A": {"score": 0.8}} among them.
struct PairList {
  std::vector<Pair> pairs;
  bool aside = false;  // its key, or that of what holds it, says that it is a rank, a doubt, a draft
};

/// The pairs of a JSON text, as far as it can be read.
struct JsonPairs {
  std::vector<PairList> lists;      // in the order in which they begin to name labels
  bool valid = false;               // the text is JSON
  std::size_t error_at = 0;         // bytes read until the error
  bool error_is_a_bracket = false;  // such as that behind a last comma
  bool error_is_a_string = false;   // that does not end

  /// Takes back a number that the error or the text's end may have cut.
  void drop_last();
  std::size_t last_number = kUnknown;  // index of the list that ends in such a number
};

/// Reads {"A": 0.8}, [{"item": "A", "score": 0.8}], [["A", 0.8]], and numbers alone, one a candidate. What
/// stands before a cut or an error is kept.
JsonPairs read_json_pairs(std::string_view text, const CandidateLabels& labels, std::size_t candidates);

}  // namespace sllmr::answers
