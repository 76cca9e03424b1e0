// Answers in text: which of those that it holds counts.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/ask/answer.h"
#include "host/ask/answer_json.h"
#include "host/ask/answer_labels.h"
#include "host/ask/answer_listing.h"
#include "host/ask/answer_prose.h"
#include "host/ask/thought.h"
#include "host/base/json_text.h"
#include "host/base/trim.h"

namespace sllmr {
namespace answers {
namespace {

/// All answers that a text holds.
class TextReader {
 public:
  TextReader(std::string_view text, std::size_t candidates, bool cut_off)
      : text_(text), candidates_(candidates), labels_(candidates), listings_(candidates), cut_off_(cut_off) {}

  ReadAnswer read() {
    const bool whole = find_json();
    pairs_ = read_pairs(text_, labels_);
    // A number that the text's end may have cut is none: "0", "0,".
    const std::size_t comma = text_.ends_with(',') ? 1 : 0;
    if ((cut_off_ || !whole) && !pairs_.empty() && pairs_.back().end + comma >= text_.size())
      pairs_.pop_back();
    std::erase_if(pairs_, [&, k = std::size_t{0}](const PairInText& pair) mutable {
      while (k < brackets_.size() && brackets_[k].second <= pair.begin) ++k;
      return k < brackets_.size() && brackets_[k].first <= pair.begin;
    });
    find_lines();
    if (spent_ > budget()) return scores_of({}, candidates_);
    std::stable_sort(listings_.all.begin(), listings_.all.end(),
                     [](const Listing& a, const Listing& b) { return a.begin < b.begin; });

    const std::vector<Listing> answers = merged(listings_.all);
    const Listing* last = last_complete(answers, false);
    const Listing* tail = nullptr;
    for (const Listing& listing : answers) {
      if (listing.cut_off && listing.named > 0) tail = &listing;
    }
    if (tail != nullptr && !tail->aside && (last == nullptr || (tail > last && differ(*tail, *last)))) {
      if (last != nullptr || 2 * tail->named > candidates_) return with_contradictions(*tail, answers);
    }
    if (last != nullptr) return with_contradictions(*last, answers);
    Listings prose(candidates_);
    prose.begin(0);
    for (const PairInText& pair : pairs_) prose.add({pair.pair}, pair.begin);
    if (const Listing* found = last_complete(prose.all, false)) return with_contradictions(*found, prose.all);
    if (const Listing* found = last_complete(listings_.all, true)) return scores_of(*found, candidates_);
    const Listing* most = &prose.all.front();
    for (const std::vector<Listing>* listings : {&answers, &std::as_const(prose.all)}) {
      for (const Listing& listing : *listings) {
        if (!listing.aside && listing.named > most->named) most = &listing;
      }
    }
    return scores_of(*most, candidates_);
  }

 private:
  // Looking for brackets and parsing is bounded, in bytes.
  std::size_t budget() const { return kMostLooks * text_.size() + kFewBytes; }
  bool complete(const Listing& listing) const { return 2 * listing.named > candidates_ && !listing.cut_off; }
  /// `all` with parts of one answer joined, such as groups by how likely they are: listings in a row, asides
  /// left out of account, that share no label.
  std::vector<Listing> merged(const std::vector<Listing>& all) const {
    std::vector<Listing> result;
    std::vector<std::size_t> last(candidates_, kUnknown);  // by candidate: the answer that named it last
    std::size_t answer = kUnknown;                         // that takes more parts
    for (const Listing& listing : all) {
      if (listing.named == 0) continue;
      const auto named = [&](const Pair& pair) { return last[pair.position] == answer; };
      const bool another = listing.aside || answer == kUnknown ||
                           std::any_of(listing.pairs.begin(), listing.pairs.end(), named);
      if (another) {
        if (!listing.aside) answer = result.size();
        result.push_back(listing);
      } else {
        Listing& whole = result[answer];
        whole.pairs.insert(whole.pairs.end(), listing.pairs.begin(), listing.pairs.end());
        whole.named += listing.named;
        whole.faults += listing.faults;
        whole.cut_off = whole.cut_off || listing.cut_off;
      }
      if (listing.aside) continue;
      for (const Pair& pair : listing.pairs) last[pair.position] = answer;
    }
    return result;
  }
  /// The last of those that name the most: a remark on a part of the candidates is no answer.
  const Listing* last_complete(const std::vector<Listing>& all, bool aside) const {
    const Listing* last = nullptr;
    for (const Listing& listing : all) {
      if (listing.aside != aside || !complete(listing)) continue;
      if (last == nullptr || listing.named >= last->named) last = &listing;
    }
    return last;
  }
  bool differ(const Listing& a, const Listing& b) const {
    const ReadAnswer first = scores_of(a, candidates_), second = scores_of(b, candidates_);
    for (const Pair& pair : a.pairs) {
      if (!same(first.scores[pair.position], second.scores[pair.position])) return true;
    }
    return false;
  }
  static bool same(float a, float b) { return std::isnan(a) || std::isnan(b) || std::fabs(a - b) < 1e-6F; }

  ReadAnswer with_contradictions(const Listing& chosen, const std::vector<Listing>& all) const {
    ReadAnswer answer = scores_of(chosen, candidates_);
    std::vector<bool> contradicted(candidates_, false);
    for (const Pair& pair : chosen.pairs) contradicted[pair.position] = pair.contradicted;
    for (const Listing& listing : all) {
      if (&listing == &chosen || listing.aside || !complete(listing)) continue;
      const ReadAnswer other = scores_of(listing, candidates_);
      for (std::size_t k = 0; k < candidates_; ++k) {
        if (!same(answer.scores[k], other.scores[k])) contradicted[k] = true;
      }
    }
    answer.faults.contradicted = std::count(contradicted.begin(), contradicted.end(), true);
    return answer;
  }

  /// Adds the answers in brackets. Returns whether all brackets are closed.
  bool find_json() {
    bool whole = true;
    std::size_t end_before = text_.npos;
    for (std::size_t at = text_.find_first_of("{["); at != text_.npos && spent_ <= budget();) {
      const std::size_t closed = json_end(text_, at);
      const std::size_t end = closed == text_.npos ? text_.size() : closed;
      spent_ += end - at;
      // JSON lines, and values with nothing but commas between, are one answer.
      const bool goes_on =
          end_before != text_.npos && !listings_.all.empty() &&
          text_.substr(end_before, at - end_before).find_first_not_of(" \t\r\n,;") == text_.npos;
      if (read_json(at, end, closed == text_.npos, goes_on)) {
        brackets_.emplace_back(at, end);
        end_before = end;
        if (closed == text_.npos) whole = false;
        at = text_.find_first_of("{[", end);
      } else {
        whole = whole && (closed != text_.npos || text_[at] != '{');
        at = text_.find_first_of("{[", at + 1);
      }
    }
    return whole;
  }

  /// Reads the brackets at [begin, end). False where they are no JSON, and what is in them may be some.
  bool read_json(std::size_t begin, std::size_t end, bool unclosed, bool goes_on) {
    const std::string_view raw = text_.substr(begin, end - begin);
    const std::optional<std::string> points = with_decimal_points(raw, candidates_);
    const std::string_view repaired = points ? std::string_view(*points) : raw;
    JsonPairs found = read_json_pairs(repaired, labels_, candidates_);
    const bool valid = found.valid;
    const bool cut = !valid && unclosed && found.error_at >= repaired.size();
    if (!valid && !cut) {
      // Python's dictionaries, comments, percentages: pairs, where there is nothing else.
      const auto pairs = unclosed ? std::vector<PairInText>() : read_pairs(raw, labels_);
      if (!pairs.empty() && nothing_else(raw, 0, raw.size(), pairs.data(), pairs.data() + pairs.size())) {
        listings_.begin(begin);
        std::vector<Pair> list;
        for (const PairInText& pair : pairs) list.push_back(pair.pair);
        listings_.add(list, begin);
        return true;
      }
      if (!found.error_is_a_bracket) found.drop_last();
    }
    if (cut && !found.error_is_a_string) {
      // "0" may be the beginning of "0.85", and "0," that of "0,85".
      const char last = repaired.back();
      const bool comma = last == ',' && repaired.size() > 1 && is_digit(repaired[repaired.size() - 2]);
      const bool between = std::string_view(" \t\r\n,}]\"").find(last) != std::string_view::npos;
      if (comma || !between) found.drop_last();
    }
    bool any = false;
    for (const bool aside : {true, false}) {
      bool first = !goes_on || aside || listings_.all.back().aside;
      for (const PairList& list : found.lists) {
        if (list.aside != aside || list.pairs.empty()) continue;
        if (std::exchange(first, false)) listings_.begin(begin, cut, aside && valid);
        if (aside && !valid) continue;  // a draft of an answer that never came
        listings_.all.back().cut_off = cut;
        listings_.add(list.pairs, begin);
        any = true;
      }
    }
    return valid || cut || (any && found.error_is_a_bracket);
  }

  /// Adds the lists that fill their lines.
  void find_lines() {
    std::size_t pair = 0;
    bool in_list = false;
    for (std::size_t begin = 0, end = 0; begin < text_.size(); begin = end + 1) {
      end = std::min(text_.find('\n', begin), text_.size());
      const PairInText* first = pairs_.data() + pair;
      while (pair < pairs_.size() && pairs_[pair].begin < end) ++pair;
      const PairInText* last = pairs_.data() + pair;
      const bool only_pairs = first != last && nothing_else(text_, begin, end, first, last);
      if (only_pairs && !std::exchange(in_list, true)) listings_.begin(begin);
      for (; only_pairs && first != last; ++first) listings_.add({first->pair}, first->begin);
      if (in_list && cut_off_ && end == text_.size()) listings_.all.back().cut_off = true;
      // A table's rule and empty lines are no end of a list.
      if (!only_pairs && !trim(text_.substr(begin, end - begin), " \t\r-|:=*").empty()) in_list = false;
    }
  }

  static constexpr std::size_t kMostLooks = 16, kFewBytes = 4096;
  std::string_view text_;
  std::size_t candidates_;
  CandidateLabels labels_;
  Listings listings_;
  bool cut_off_;
  std::size_t spent_ = 0;
  std::vector<std::pair<std::size_t, std::size_t>> brackets_;  // of what was read
  std::vector<PairInText> pairs_;
};

}  // namespace
}  // namespace answers

ReadAnswer read_scores_text(std::string_view text, std::size_t candidates, bool cut_off) {
  return answers::TextReader(without_thoughts(text), candidates, cut_off).read();
}

}  // namespace sllmr
