// Reading what a language model answers. Nothing about it can be trusted; what can be read is read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sllmr {

/// What was wrong with answers, counted in candidates unless said otherwise.
struct AnswerFaults {
  std::int64_t missing = 0;       // no score at all
  std::int64_t not_a_number = 0;  // null, NaN, a word
  std::int64_t out_of_range = 0;  // negative or beyond any known scale
  std::int64_t repeated = 0;      // named again in the same list; the last score counts
  std::int64_t contradicted = 0;  // another score earlier in the same text; the last one counts
  std::int64_t unknown = 0;       // a score for a label that the prompt does not have
  std::int64_t converted = 0;     // a string, a percentage or another scale, put right
  AnswerFaults& operator+=(const AnswerFaults& other);
};

/// The scores of one answer by position in the prompt; NaN where there is none.
struct ReadAnswer {
  std::vector<float> scores;
  AnswerFaults faults;
  bool says_something = true;  // of an answer that is kept as a text, without scores
  std::int64_t read() const;   // candidates with a score
  /// Half of the scores or more could be read: it is an answer.
  bool usable() const { return says_something && 2 * read() >= static_cast<std::int64_t>(scores.size()); }
};

/// Scores from text, its thoughts left out: JSON, alone or in prose, whole or cut off: {"A": 0.8},
/// {"scores": {...}}, [{"item": "A", "score": 0.8}], [["A", 0.8]], or plain numbers, one a candidate; and
/// where there is no such JSON, pairs like "A: 0.8". Labels in any case, bare or as "(A)", "A.", "Item A".
///
/// JSON and lists that fill their lines, in a row and without a common label, are parts of one answer. Of
/// several answers that name more than half of the candidates the last one of those that name the most
/// counts; one that the text's end cuts off and that contradicts it counts instead. `cut_off`: the server
/// says that the text ends early, so a number at its end is none.
///
/// Numbers may be strings ("0.8", "80%", "8/10") and have a decimal comma; what may mean two things ("1,000",
/// "0.5-0.7") is no number. Where plain numbers of an answer exceed 1, the answer's scale is taken to be 0 to
/// 10 (none above 10) or 0 to 100, which keeps the order; anything else is out of range. Linear in the text
/// but for a bounded number of attempts to find the JSON.
ReadAnswer read_scores_text(std::string_view text, std::size_t candidates, bool cut_off = false);

/// A token that the model might have said, and its natural log-probability.
using TokenLogprob = std::pair<std::string, double>;

/// For AnswerKind::choice: by position, the log-probability of each label among `top`, normalised over the
/// labels; a label that is not listed takes the lowest listed one and counts as missing. All NaN where fewer
/// than two labels are listed, but for a single candidate.
ReadAnswer read_choice(std::span<const TokenLogprob> top, std::size_t candidates);

/// For AnswerKind::yes_no: P(yes) / (P(yes) + P(no)), NaN where neither is listed.
ReadAnswer read_yes_no(std::span<const TokenLogprob> top);

}  // namespace sllmr
