#include "host/llm/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "host/json_text.h"
#include "host/llm/prompt.h"
#include "host/llm/thought.h"
#include "host/trim.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kLongestLabel = 48;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return lower(c); });
  return result;
}

/// A number as a model writes one.
struct Number {
  double value = 0;
  bool scaled = false;     // its scale is known: a percentage, "8/10"
  bool converted = false;  // it was not a plain number
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// What stands where a number should be: `used` bytes, 0 where it is none. Without a number it is written
/// like one and may mean several things.
struct Figure {
  std::optional<Number> number;
  std::size_t used = 0;
};

/// The fraction behind a decimal comma at text[at]; `whole` is what stands before it. Nothing for what may be
/// thousands ("1,000"), and for lists ("1,2,3").
std::optional<double> decimal_comma(std::string_view whole, std::string_view text, std::size_t& at) {
  std::size_t end = at + 1;
  while (end < text.size() && is_digit(text[end])) ++end;
  const std::string_view fraction = text.substr(at + 1, end - at - 1);
  at = end;
  const bool goes_on =
      end + 1 < text.size() && (text[end] == ',' || text[end] == '.') && is_digit(text[end + 1]);
  const bool thousands = fraction.size() == 3 && whole.find_first_not_of("0-+") != whole.npos;
  if (goes_on || thousands) {
    while (at < text.size() && (is_digit(text[at]) || text[at] == ',' || text[at] == '.')) ++at;
    return std::nullopt;
  }
  const std::string digits = fmt::format("{}.{}", whole, fraction);
  double value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

/// The number at the start of `text`. "nan" and words are nothing.
Figure leading_number(std::string_view text) {
  const auto parse = [&](std::size_t from, double& value) -> std::size_t {
    const auto [at, error] = std::from_chars(text.data() + from, text.data() + text.size(), value);
    if (error != std::errc() || !std::isfinite(value)) return 0;
    return static_cast<std::size_t>(at - text.data());
  };
  const auto skip_blanks = [&](std::size_t at) {
    while (at < text.size() && text[at] == ' ') ++at;
    return at;
  };
  const std::size_t from = text.starts_with('+') ? 1 : 0;
  Number number;
  std::size_t at = parse(from, number.value);
  if (at == 0) return {};
  const auto digit_follows = [&](std::size_t k) { return k + 1 < text.size() && is_digit(text[k + 1]); };
  const std::string_view whole = text.substr(from, at - from);
  if (at < text.size() && text[at] == ',' && digit_follows(at) &&
      whole.find_first_not_of("0123456789-") == whole.npos) {
    const auto value = decimal_comma(whole, text, at);
    if (!value) return {std::nullopt, at};
    number = {*value, false, true};
  }
  const std::size_t next = skip_blanks(at);
  if (next < text.size() && text[next] == '%') {
    number = {number.value / 100, true, true};
    at = next + 1;
  } else if (next < text.size() && text[next] == '/') {
    double whole_value = 0;
    const std::size_t after = parse(skip_blanks(next + 1), whole_value);
    if (after > 0 && whole_value > 0) {
      number = {number.value / whole_value, true, true};
      at = after;
    }
  }
  // "5-star", "3rd", "0.5-0.7", "1.2.3", and decimal signs of other scripts.
  std::size_t sign = at;
  while (sign < text.size() && static_cast<unsigned char>(text[sign]) >= 0x80) ++sign;
  const bool other_sign = sign > at && sign < text.size() && is_digit(text[sign]);
  const bool glued =
      at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_');
  const bool joined =
      at + 1 < text.size() && (text[at] == '-' || text[at] == '.') &&
      (is_digit(text[at + 1]) || (text[at] == '-' && std::isalnum(static_cast<unsigned char>(text[at + 1]))));
  if (other_sign || glued || joined) return {std::nullopt, std::max(at, sign)};
  return {number, at};
}

std::optional<Number> number_in_string(std::string_view text) {
  text = trim(text);
  Figure figure = leading_number(text);
  if (!figure.number || figure.used != text.size()) return std::nullopt;
  figure.number->converted = true;
  return figure.number;
}

/// Labels to positions, forgiving in how they are written.
class Labels {
 public:
  explicit Labels(std::size_t count) {
    for (std::size_t k = 0; k < count; ++k) places_.emplace(lower(candidate_label(k)), k);
  }
  std::optional<std::size_t> find(std::string_view text) const {
    if (text.size() > kLongestLabel) return std::nullopt;
    std::string name = lower(trim(text, " \t\r\n\"'`()[]{}<>.:*#"));
    for (const std::string_view word : {"candidate", "item", "product", "option", "label"}) {
      if (name.starts_with(word)) name = trim(std::string_view(name).substr(word.size()), " _-:#(");
    }
    const auto found = places_.find(name);
    if (found == places_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::unordered_map<std::string, std::size_t> places_;
};

constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();

/// A label and what stands for its score.
struct Pair {
  std::size_t place = kUnknown;  // in the prompt; kUnknown: a label that it does not have
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

  /// What comes next is another answer.
  void begin(std::size_t place, bool cut_off = false, bool aside = false) {
    all.emplace_back();
    all.back().begin = place;
    all.back().cut_off = cut_off;
    all.back().aside = aside;
  }
  void add(const std::vector<Pair>& list, std::size_t place) {
    const auto named = [&](const Pair& pair) {
      return pair.place != kUnknown && last_[pair.place] == all.size();
    };
    if (std::any_of(list.begin(), list.end(), named)) begin(place, all.back().cut_off, all.back().aside);
    Listing& listing = all.back();
    for (const Pair& pair : list) {
      if (pair.place == kUnknown) {
        ++listing.faults.unknown;
      } else if (named(pair)) {
        ++listing.faults.repeated;
        // As parsers of JSON do: the last one counts.
        Pair& first = listing.pairs[index_[pair.place]];
        if (!pair.value) continue;
        first.contradicted |= first.value && first.value->value != pair.value->value;
        first.value = pair.value;
      } else {
        last_[pair.place] = all.size();
        index_[pair.place] = listing.pairs.size();
        listing.pairs.push_back(pair);
        ++listing.named;
      }
    }
  }

 private:
  std::vector<std::size_t> last_;   // by candidate: number of the listing that named it last
  std::vector<std::size_t> index_;  // by candidate: its pair's there
};

ReadAnswer finish(const Listing& listing, std::size_t candidates) {
  ReadAnswer answer{std::vector<float>(candidates, kNone), listing.faults};
  constexpr double kLargestScale = 100;
  double largest = 1;
  for (const Pair& pair : listing.pairs) {
    const auto& value = pair.value;
    if (value && !value->scaled && value->value <= kLargestScale) largest = std::max(largest, value->value);
  }
  const double scale = largest <= 1 ? 1 : largest <= 10 ? 10 : kLargestScale;
  answer.faults.missing = static_cast<std::int64_t>(candidates - listing.named);
  for (const auto& [place, value, contradicted] : listing.pairs) {
    answer.faults.contradicted += contradicted;
    if (!value) {
      ++answer.faults.not_a_number;
      continue;
    }
    const double scaled = value->scaled ? value->value : value->value / scale;
    if (scaled >= 0 && scaled <= 1) {
      answer.scores[place] = static_cast<float>(scaled);
      answer.faults.converted += value->converted || (!value->scaled && scale > 1);
    } else {
      ++answer.faults.out_of_range;
    }
  }
  return answer;
}

bool is_one_of(std::string_view key, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), key) != words.end();
}

/// Whether a container under this key is said to hold something else than the scores that count.
bool names_an_aside(const std::string& key) {
  for (const std::string_view word :
       {"rank", "order", "position", "index", "confidence", "certainty", "draft", "guess", "initial",
        "example", "think", "thought", "reasoning", "reflection", "analysis"}) {
    if (key.find(word) != key.npos) return true;
  }
  // Not within a word: "threshold" holds "old".
  for (const std::string_view word : {"previous", "before", "old", "first_pass", "raw", "unadjusted"}) {
    for (std::size_t at = key.find(word); at != key.npos; at = key.find(word, at + 1)) {
      const std::size_t end = at + word.size();
      if ((at == 0 || key[at - 1] == '_') && (end == key.size() || key[end] == '_')) return true;
    }
  }
  return false;
}

/// Turns JSON events into pairs as they come, so that what stands before a cut or an error is kept, equal
/// keys are seen, and the depth of the text does not matter.
class JsonReader : public nlohmann::json_sax<json> {
 public:
  JsonReader(const Labels& labels, std::size_t candidates) : labels_(labels), candidates_(candidates) {}

  /// The pairs of one object or array, those of its children {"A": {"score": 0.8}} among them.
  struct List {
    std::vector<Pair> pairs;
    bool aside = false;
  };
  std::vector<List> lists;   // in the order in which they begin to name labels
  std::size_t error_at = 0;  // bytes read until the error

  /// Takes back a number that the error or the text's end may have cut.
  void drop_last() {
    if (!last_is_value_ || last_list_ >= lists.size() || lists[last_list_].pairs.empty()) return;
    lists[last_list_].pairs.pop_back();
  }
  bool error_is_a_bracket = false;  // such as that behind a last comma
  bool error_is_a_string = false;   // that does not end

  bool null() override { return value({}, {}); }
  bool boolean(bool) override { return value({}, {}); }
  bool number_integer(number_integer_t number) override { return plain(static_cast<double>(number)); }
  bool number_unsigned(number_unsigned_t number) override { return plain(static_cast<double>(number)); }
  bool number_float(number_float_t number, const string_t&) override { return plain(number); }
  bool string(string_t& text) override { return value(number_in_string(text), text); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& name) override {
    frames_.back().key = name;
    last_is_value_ = false;
    return true;
  }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string& token, const json::exception&) override {
    error_at = position;
    error_is_a_bracket = token.ends_with('}') || token.ends_with(']');
    error_is_a_string = token.starts_with('"');
    return false;
  }

 private:
  struct Frame {
    bool object = false, aside = false;
    std::size_t list = kUnknown;        // its place in `lists`, once it has one
    std::string key;                    // the last one
    std::string item;                   // {"item": "A", ...}
    std::optional<Number> score;        // {..., "score": 0.8}
    std::size_t score_rank = kUnknown;  // of the word for it: a score is more than a confidence
    std::string first;                  // the array's first element, where it is a string
    std::vector<Number> numbers;        // the array's numbers
    std::size_t elements = 0;
  };

  bool open(bool object) {
    last_is_value_ = false;
    if (frames_.size() >= kDeepestJson) return false;
    Frame frame;
    frame.object = object;
    if (!frames_.empty()) {
      Frame& parent = frames_.back();
      ++parent.elements;
      frame.aside =
          parent.aside || (parent.object && !labels_.find(parent.key) && names_an_aside(lower(parent.key)));
    }
    frames_.push_back(std::move(frame));
    return true;
  }
  bool plain(double number) {
    value(std::isfinite(number) ? std::optional<Number>({number, false, false}) : std::nullopt, {});
    last_is_value_ = last_added_;
    return true;
  }
  /// Nothing: the label was named, but with no number.
  void add(Frame& frame, std::string_view label, const std::optional<Number>& number) {
    const auto place = labels_.find(label);
    if (!place && !number) return;  // a text beside the scores, such as a reason, is no fault
    put(frame, {place.value_or(kUnknown), number, false});
    labelled_ = labelled_ || place;
  }
  void put(Frame& frame, const Pair& pair) {
    if (frame.list == kUnknown) {
      frame.list = lists.size();
      lists.push_back({{}, frame.aside});
    }
    lists[frame.list].pairs.push_back(pair);
    last_list_ = frame.list;
    last_added_ = true;
  }
  bool value(const std::optional<Number>& number, const std::string& text) {
    last_is_value_ = last_added_ = false;
    if (frames_.empty()) return true;
    Frame& frame = frames_.back();
    if (frame.object) {
      const std::string name = lower(frame.key);
      // A label wins over a name: a candidate may well be labelled "ID".
      if (!labels_.find(frame.key)) {
        if (is_one_of(name, {"item", "id", "item_id", "label", "candidate", "option", "letter", "key"})) {
          frame.item = text;
          return true;
        }
        constexpr std::array<std::string_view, 7> kWords = {
            "score", "rating", "relevance", "probability", "likelihood", "value", "confidence"};
        const auto word = std::find(kWords.begin(), kWords.end(), name);
        if (word != kWords.end()) {
          const auto rank = static_cast<std::size_t>(word - kWords.begin());
          if (rank <= frame.score_rank) {
            frame.score = number;
            frame.score_rank = rank;
          }
          return true;
        }
      }
      add(frame, frame.key, number);
    } else {
      if (frame.elements == 0 && !number) frame.first = text;
      if (frame.elements == 1 && !frame.first.empty())
        add(frame.list == kUnknown && frames_.size() > 1 ? frames_[frames_.size() - 2] : frame, frame.first,
            number);
      if (number && frame.numbers.size() <= candidates_) frame.numbers.push_back(*number);
      ++frame.elements;
    }
    return true;
  }
  bool close() {
    last_is_value_ = false;
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.score_rank != kUnknown) {
      Frame& owner = frames_.empty() ? frame : frames_.back();
      if (!frame.item.empty()) {
        add(owner, frame.item, frame.score);
      } else if (!frames_.empty() && owner.object) {
        add(owner, owner.key, frame.score);  // {"A": {"score": 0.8}}
      }
    }
    // As many numbers as candidates and no labels: by position.
    if (!frame.object && frame.elements == candidates_ && frame.numbers.size() == frame.elements &&
        !labelled_) {
      for (std::size_t k = 0; k < frame.numbers.size(); ++k) put(frame, {k, frame.numbers[k], false});
    }
    return true;
  }

  const Labels& labels_;
  std::size_t candidates_;
  std::vector<Frame> frames_;
  bool labelled_ = false;       // a label was named
  bool last_is_value_ = false;  // the last event was a plain number that became a pair
  bool last_added_ = false;
  std::size_t last_list_ = kUnknown;
};

/// JSON whose decimal commas are points: where a comma cannot part two values, and in arrays of numbers that
/// then are one a candidate. What may be thousands becomes a string, which is no number.
std::string with_decimal_points(std::string_view text, std::size_t candidates) {
  std::string result;
  char before = 0, before_that = 0;  // the last characters outside of strings that are no blanks
  const auto next_character = [&](std::size_t at) {
    while (at < text.size() && trim(text.substr(at, 1)).empty()) ++at;
    return at < text.size() ? text[at] : '\0';
  };
  const auto number_at = [&](std::size_t at) {
    std::size_t end = at + (text[at] == '-');
    while (end < text.size() && is_digit(text[end])) ++end;
    return end;
  };
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    std::size_t end = at + 1;
    if (c == '"') {
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
    } else if (c == '[') {
      // Commas of both kinds: "[0,85, 0,7]".
      const std::size_t close = text.find_first_not_of("0123456789-,. \t\r\n", at + 1);
      const std::string_view inner =
          close == text.npos || text[close] != ']' ? "" : text.substr(at + 1, close - at - 1);
      std::size_t tight = 0, loose = 0;
      std::string points;
      for (std::size_t k = 0; k < inner.size(); ++k) {
        const bool comma = inner[k] == ',' && k > 0 && k + 1 < inner.size() && is_digit(inner[k - 1]);
        const bool decimal = comma && is_digit(inner[k + 1]);
        tight += decimal;
        loose += comma && !decimal;
        points += decimal ? '.' : inner[k];
      }
      if (tight > 0 && loose > 0) {
        end = close;
        result += loose + 1 == candidates ? "[" + points : std::string("[null");
        before_that = '[';
        before = '0';
        at = end;
        continue;
      }
    } else if ((c == '-' || is_digit(c)) && (before == ':' || (before == ',' && before_that == '"'))) {
      end = number_at(at);
      if (end + 1 < text.size() && text[end] == ',' && is_digit(text[end + 1])) {
        std::size_t after = end;
        const auto value = decimal_comma(text.substr(at, end - at), text, after);
        if (before == ':' || next_character(after) == ']') {
          result +=
              value ? fmt::format("{}.{}", text.substr(at, end - at), text.substr(end + 1, after - end - 1))
                    : fmt::format("\"{}\"", text.substr(at, after - at));
          before_that = before;
          before = '0';
          at = after;
          continue;
        }
      }
    }
    result += text.substr(at, end - at);
    if (!trim(text.substr(at, 1)).empty()) {
      before_that = before;
      before = c;
    }
    at = end;
  }
  return result;
}

/// "0,85", perhaps; most texts have none.
bool has_tight_comma(std::string_view text) {
  for (std::size_t at = text.find(','); at != text.npos; at = text.find(',', at + 1)) {
    if (at > 0 && is_digit(text[at - 1]) && at + 1 < text.size() && is_digit(text[at + 1])) return true;
  }
  return false;
}

bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// A pair in prose and where it stands.
struct PlacedPair {
  Pair pair;
  std::size_t begin = 0, end = 0;
};

/// "A: 0.8", "(B) = 70%", "C. NaN": a word that is a label, something between, a number.
std::vector<PlacedPair> read_pairs(std::string_view text, const Labels& labels) {
  constexpr std::string_view kBetween = " \t\"'`()[]*:=->.,|";
  std::vector<PlacedPair> pairs;
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
    const auto place = word.size() > 3 ? std::nullopt : labels.find(word);
    if (!place) continue;
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
    const Figure figure = leading_number(text.substr(next));
    if (figure.used > 0) {
      at = next + figure.used;
    } else if (is_one_of(lower(text.substr(next, 3)), {"nan", "n/a"}) ||
               is_one_of(lower(text.substr(next, 4)), {"null", "none"})) {
      at = next + (lower(text.substr(next, 2)) == "n/" || lower(text.substr(next, 3)) == "nan" ? 3 : 4);
    } else {
      continue;
    }
    pairs.push_back({{*place, figure.number, false}, begin, at});
  }
  return pairs;
}

/// Whether text[begin, end) holds no word that is not in one of the pairs [first, last), but for "Item".
bool nothing_else(std::string_view text, std::size_t begin, std::size_t end, const PlacedPair* first,
                  const PlacedPair* last) {
  for (std::size_t at = begin; at < end;) {
    if (first != last && at >= first->begin) {
      at = std::max(at, first++->end);
    } else if (is_word(text[at])) {
      std::size_t stop = at;
      while (stop < end && is_word(text[stop])) ++stop;
      const std::string word = lower(text.substr(at, stop - at));
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
    std::erase_if(pairs_, [&, k = std::size_t{0}](const PlacedPair& pair) mutable {
      while (k < brackets_.size() && brackets_[k].second <= pair.begin) ++k;
      return k < brackets_.size() && brackets_[k].first <= pair.begin;
    });
    find_lines();
    if (spent_ > budget()) return finish({}, candidates_);
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
    for (const PlacedPair& pair : pairs_) prose.add({pair.pair}, pair.begin);
    if (const Listing* found = last_complete(prose.all, false)) return with_contradictions(*found, prose.all);
    if (const Listing* found = last_complete(listings_.all, true)) return finish(*found, candidates_);
    const Listing* most = &prose.all.front();
    for (const std::vector<Listing>* listings : {&answers, &std::as_const(prose.all)}) {
      for (const Listing& listing : *listings) {
        if (!listing.aside && listing.named > most->named) most = &listing;
      }
    }
    return finish(*most, candidates_);
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
      const auto named = [&](const Pair& pair) { return last[pair.place] == answer; };
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
      for (const Pair& pair : listing.pairs) last[pair.place] = answer;
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
    const ReadAnswer first = finish(a, candidates_), second = finish(b, candidates_);
    for (const Pair& pair : a.pairs) {
      if (!same(first.scores[pair.place], second.scores[pair.place])) return true;
    }
    return false;
  }
  static bool same(float a, float b) { return std::isnan(a) || std::isnan(b) || std::fabs(a - b) < 1e-6F; }

  ReadAnswer with_contradictions(const Listing& chosen, const std::vector<Listing>& all) const {
    ReadAnswer answer = finish(chosen, candidates_);
    std::vector<bool> contradicted(candidates_, false);
    for (const Pair& pair : chosen.pairs) contradicted[pair.place] = pair.contradicted;
    for (const Listing& listing : all) {
      if (&listing == &chosen || listing.aside || !complete(listing)) continue;
      const ReadAnswer other = finish(listing, candidates_);
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
    const std::string points = has_tight_comma(raw) ? with_decimal_points(raw, candidates_) : std::string();
    const std::string_view repaired = points.empty() ? raw : std::string_view(points);
    JsonReader reader(labels_, candidates_);
    const bool valid = json::sax_parse(repaired, &reader);
    const bool cut = !valid && unclosed && reader.error_at >= repaired.size();
    if (!valid && !cut) {
      // Python's dictionaries, comments, percentages: pairs, where there is nothing else.
      const auto pairs = unclosed ? std::vector<PlacedPair>() : read_pairs(raw, labels_);
      if (!pairs.empty() && nothing_else(raw, 0, raw.size(), pairs.data(), pairs.data() + pairs.size())) {
        listings_.begin(begin);
        std::vector<Pair> list;
        for (const PlacedPair& pair : pairs) list.push_back(pair.pair);
        listings_.add(list, begin);
        return true;
      }
      if (!reader.error_is_a_bracket) reader.drop_last();
    }
    if (cut && !reader.error_is_a_string) {
      // "0" may be the beginning of "0.85", and "0," that of "0,85".
      const char last = repaired.back();
      const bool comma = last == ',' && repaired.size() > 1 && is_digit(repaired[repaired.size() - 2]);
      const bool between = std::string_view(" \t\r\n,}]\"").find(last) != std::string_view::npos;
      if (comma || !between) reader.drop_last();
    }
    bool any = false;
    for (const bool aside : {true, false}) {
      bool first = !goes_on || aside || listings_.all.back().aside;
      for (const JsonReader::List& list : reader.lists) {
        if (list.aside != aside || list.pairs.empty()) continue;
        if (std::exchange(first, false)) listings_.begin(begin, cut, aside && valid);
        if (aside && !valid) continue;  // a draft of an answer that never came
        listings_.all.back().cut_off = cut;
        listings_.add(list.pairs, begin);
        any = true;
      }
    }
    return valid || cut || (any && reader.error_is_a_bracket);
  }

  /// Adds the lists that fill their lines.
  void find_lines() {
    std::size_t pair = 0;
    bool in_list = false;
    for (std::size_t begin = 0, end = 0; begin < text_.size(); begin = end + 1) {
      end = std::min(text_.find('\n', begin), text_.size());
      const PlacedPair* first = pairs_.data() + pair;
      while (pair < pairs_.size() && pairs_[pair].begin < end) ++pair;
      const PlacedPair* last = pairs_.data() + pair;
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
  Labels labels_;
  Listings listings_;
  bool cut_off_;
  std::size_t spent_ = 0;
  std::vector<std::pair<std::size_t, std::size_t>> brackets_;  // of what was read
  std::vector<PlacedPair> pairs_;
};

/// `text` without the spelling of a word's start in common vocabularies.
std::string_view bare_token(std::string_view token) {
  constexpr std::array<std::string_view, 2> kWordStarts = {"\xE2\x96\x81",
                                                           "\xC4\xA0"};  // of SentencePiece, BPE
  for (const std::string_view start : kWordStarts) {
    if (token.starts_with(start)) token.remove_prefix(start.size());
  }
  return trim(token, " \t\r\n\"'().:*");
}

}  // namespace

AnswerFaults& AnswerFaults::operator+=(const AnswerFaults& other) {
  missing += other.missing;
  not_a_number += other.not_a_number;
  out_of_range += other.out_of_range;
  repeated += other.repeated;
  contradicted += other.contradicted;
  unknown += other.unknown;
  converted += other.converted;
  return *this;
}

std::int64_t ReadAnswer::read() const {
  return std::count_if(scores.begin(), scores.end(), [](float score) { return !std::isnan(score); });
}

ReadAnswer read_scores_text(std::string_view text, std::size_t candidates, bool cut_off) {
  return TextReader(without_thoughts(text), candidates, cut_off).read();
}

ReadAnswer read_choice(std::span<const TokenLogprob> top, std::size_t candidates) {
  const Labels labels(candidates);
  std::vector<double> mass(candidates, 0.0);
  for (const auto& [token, logprob] : top) {
    if (!(logprob <= 0)) continue;  // NaN too
    const std::string_view bare = bare_token(token);
    // "a" is an article, not a label.
    if (bare.empty() || std::any_of(bare.begin(), bare.end(), [](char c) { return c < 'A' || c > 'Z'; }))
      continue;
    if (const auto place = labels.find(bare)) mass[*place] += std::exp(logprob);
  }
  ReadAnswer answer;
  double lowest = std::numeric_limits<double>::infinity(), sum = 0;
  std::size_t listed = 0;
  for (const double m : mass) {
    if (!(m > 0)) continue;
    lowest = std::min(lowest, m);
    ++listed;
  }
  // One label of several says nothing of the others, and all would score the same.
  if (listed < std::min<std::size_t>(candidates, 2)) listed = 0;
  answer.faults.missing = static_cast<std::int64_t>(candidates - listed);
  if (listed == 0) {
    answer.scores.assign(candidates, kNone);
    return answer;
  }
  for (double& m : mass) {
    m = std::max(m, lowest);
    sum += m;
  }
  for (const double m : mass) answer.scores.push_back(static_cast<float>(std::log(m / sum)));
  return answer;
}

ReadAnswer read_yes_no(std::span<const TokenLogprob> top) {
  double yes = 0, no = 0;
  for (const auto& [token, logprob] : top) {
    if (!(logprob <= 0)) continue;
    const std::string word = lower(bare_token(token));
    if (word == "yes") yes += std::exp(logprob);
    if (word == "no") no += std::exp(logprob);
  }
  ReadAnswer answer;
  const bool read = yes + no > 0;
  answer.scores.push_back(read ? static_cast<float>(yes / (yes + no)) : kNone);
  answer.faults.missing = !read;
  return answer;
}

}  // namespace sllmr
