#include "host/ask/answer_prose.h"

#include <algorithm>
#include <optional>
#include <string>

#include "host/base/lower_case.h"

namespace sllmr::answers {
namespace {

bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::vector<PairInText> read_pairs(std::string_view text, const CandidateLabels& labels) {
  constexpr std::string_view kBetween = " \t\"'`()[]*:=->.,|";
  std::vector<PairInText> pairs;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_word(text[at])) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    std::size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    const std::string_view word = text.substr(at, end - at);
    at = end;
    const auto position = word.size() > 3 ? std::nullopt : labels.find(word);
    if (!position) continue;
    std::size_t next = end;
    while (next < text.size() && kBetween.find(text[next]) != kBetween.npos) ++next;
    // An article is a label as well: without a sign between, "A 5 star product" is none.
    if (text.substr(end, next - end).find_first_of(":=->)|.,]") == text.npos) continue;
    if (next > end && text[next - 1] == '-' && (next < 2 || text[next - 2] == ' ' || text[next - 2] == ':')) {
      // A sign, unless it is the separator: "A: -1", but "A - 0.5".
      const std::string_view between = text.substr(end, next - end - 1);
      if (between.find_first_of(":=>)|.,]") != between.npos) --next;
    } else if (next > end && text[next - 1] == '.' && next < text.size() && is_digit(text[next]) &&
               text.substr(end, next - end - 1).find_first_of(":=") != text.npos) {
      --next;  // "A: .5"
    }
    const LeadingNumber found = leading_number(text.substr(next));
    if (found.used > 0) {
      at = next + found.used;
    } else if (is_one_of(lower_case(text.substr(next, 3)), {"nan", "n/a"}) ||
               is_one_of(lower_case(text.substr(next, 4)), {"null", "none"})) {
      at = next +
           (lower_case(text.substr(next, 2)) == "n/" || lower_case(text.substr(next, 3)) == "nan" ? 3 : 4);
    } else {
      continue;
    }
    pairs.push_back({{*position, found.number, false}, begin, at});
  }
  return pairs;
}

bool nothing_else(std::string_view text, std::size_t begin, std::size_t end, const PairInText* first,
                  const PairInText* last) {
  for (std::size_t at = begin; at < end;) {
    if (first != last && at >= first->begin) {
      at = std::max(at, first++->end);
    } else if (is_word(text[at])) {
      std::size_t stop = at;
      while (stop < end && is_word(text[stop])) ++stop;
      const std::string word = lower_case(text.substr(at, stop - at));
      const bool bullet =
          std::all_of(word.begin(), word.end(), is_digit) || static_cast<unsigned char>(word[0]) >= 0x80;
      if (!bullet && !is_one_of(word, {"item", "candidate", "product", "option", "label", "score"}))
        return false;
      at = stop;
    } else {
      ++at;
    }
  }
  return true;
}

}  // namespace sllmr::answers
