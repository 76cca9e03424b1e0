#include "host/llm/answer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "host/llm/prompt.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kDeepest = 64;  // JSON nested deeper than this is no answer of ours
constexpr int kMostAttempts = 32;     // places in the text where JSON may begin
constexpr std::size_t kLongestLabel = 48;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return lower(c); });
  return result;
}

std::string_view trim(std::string_view text, std::string_view what = " \t\r\n") {
  const auto first = text.find_first_not_of(what);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(what) - first + 1);
}

/// A number as a model writes one.
struct Number {
  double value = 0;
  bool scaled = false;     // its scale is known: a percentage, "8/10"
  bool converted = false;  // it was not a plain number
};

/// The number at the start of `text`; `used` is its length. "nan" and words are nothing.
std::optional<Number> leading_number(std::string_view text, std::size_t& used) {
  double value = 0;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const char* from = begin + (text.starts_with('+') ? 1 : 0);
  auto [at, error] = std::from_chars(from, end, value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  Number number{value, false, false};
  const auto skip_blanks = [&](const char* p) {
    while (p < end && *p == ' ') ++p;
    return p;
  };
  const char* next = skip_blanks(at);
  if (next < end && *next == '%') {
    number = {value / 100, true, true};
    at = next + 1;
  } else if (next < end && *next == '/') {
    double whole = 0;
    const auto [after, bad] = std::from_chars(skip_blanks(next + 1), end, whole);
    if (bad == std::errc() && whole > 0) {
      number = {value / whole, true, true};
      at = after;
    }
  }
  used = static_cast<std::size_t>(at - begin);
  return number;
}

std::optional<Number> number_in_string(std::string_view text) {
  std::size_t used = 0;
  auto number = leading_number(trim(text), used);
  if (!number || used != trim(text).size()) return std::nullopt;
  number->converted = true;
  return number;
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

/// Collects (label, value) pairs of one answer.
class Collector {
 public:
  explicit Collector(std::size_t candidates) : labels_(candidates), values_(candidates), named_(candidates) {}

  /// Nothing: the label was named, but with no number.
  void add(std::string_view label, const std::optional<Number>& value) {
    if (const auto place = labels_.find(label)) {
      put(*place, value);
    } else if (value) {
      ++faults_.unknown;  // a text beside the scores, such as a reason, is no fault
    }
  }
  void put(std::size_t place, const std::optional<Number>& value) {
    if (named_[place]) {
      ++faults_.repeated;
      return;
    }
    named_[place] = true;
    ++n_named_;
    values_[place] = value;
  }
  std::size_t candidates() const { return values_.size(); }
  std::size_t named() const { return n_named_; }
  const Labels& labels() const { return labels_; }

  ReadAnswer finish() const {
    ReadAnswer answer{{}, faults_};
    constexpr double kLargestScale = 100;
    double largest = 1;
    for (const auto& value : values_) {
      if (value && !value->scaled && value->value <= kLargestScale) largest = std::max(largest, value->value);
    }
    const double scale = largest <= 1 ? 1 : largest <= 10 ? 10 : kLargestScale;
    for (std::size_t k = 0; k < values_.size(); ++k) {
      const auto& value = values_[k];
      float score = kNone;
      if (!value) {
        ++(named_[k] ? answer.faults.not_a_number : answer.faults.missing);
      } else {
        const double scaled = value->scaled ? value->value : value->value / scale;
        if (scaled >= 0 && scaled <= 1) {
          score = static_cast<float>(scaled);
          answer.faults.converted += value->converted || (!value->scaled && scale > 1);
        } else {
          ++answer.faults.out_of_range;
        }
      }
      answer.scores.push_back(score);
    }
    return answer;
  }

 private:
  Labels labels_;
  std::vector<std::optional<Number>> values_;
  std::vector<bool> named_;
  std::size_t n_named_ = 0;
  AnswerFaults faults_;
};

bool is_one_of(const std::string& key, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), key) != words.end();
}

/// Turns JSON events into pairs as they come, so that what stands before a cut or an error is kept, equal
/// keys are seen, and the depth of the text does not matter.
class JsonReader : public nlohmann::json_sax<json> {
 public:
  explicit JsonReader(Collector& out) : out_(out) {}

  bool null() override { return value({}, {}); }
  bool boolean(bool) override { return value({}, {}); }
  bool number_integer(number_integer_t number) override { return plain(static_cast<double>(number)); }
  bool number_unsigned(number_unsigned_t number) override { return plain(static_cast<double>(number)); }
  bool number_float(number_float_t number, const string_t&) override { return plain(number); }
  bool string(string_t& text) override { return value(number_in_string(text), text); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& name) override {
    frames_.back().key = name;
    return true;
  }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override { return false; }

 private:
  struct Frame {
    bool object = false;
    std::string key;              // the last one
    std::string item;             // {"item": "A", ...}
    std::optional<Number> score;  // {..., "score": 0.8}
    bool has_score = false;
    std::string first;            // the array's first element, where it is a string
    std::vector<Number> numbers;  // the array's numbers
    std::size_t elements = 0;
  };

  bool open(bool object) {
    if (frames_.size() >= kDeepest) return false;
    if (!frames_.empty()) ++frames_.back().elements;
    frames_.emplace_back();
    frames_.back().object = object;
    return true;
  }
  bool plain(double number) {
    return value(std::isfinite(number) ? std::optional<Number>({number, false, false}) : std::nullopt, {});
  }
  bool value(const std::optional<Number>& number, const std::string& text) {
    if (frames_.empty()) return true;
    Frame& frame = frames_.back();
    if (frame.object) {
      const std::string name = lower(frame.key);
      // A label wins over a name: a candidate may well be labelled "ID".
      if (!out_.labels().find(frame.key)) {
        if (is_one_of(name, {"item", "id", "item_id", "label", "candidate", "option", "letter", "key"})) {
          frame.item = text;
          return true;
        }
        if (is_one_of(name,
                      {"score", "rating", "value", "probability", "likelihood", "relevance", "confidence"})) {
          frame.score = number;
          frame.has_score = true;
          return true;
        }
      }
      out_.add(frame.key, number);
    } else {
      if (frame.elements == 0 && !number) frame.first = text;
      if (frame.elements == 1 && !frame.first.empty()) out_.add(frame.first, number);
      if (number && frame.numbers.size() <= out_.candidates()) frame.numbers.push_back(*number);
      ++frame.elements;
    }
    return true;
  }
  bool close() {
    const Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.has_score) {
      if (!frame.item.empty()) {
        out_.add(frame.item, frame.score);
      } else if (!frames_.empty() && frames_.back().object) {
        out_.add(frames_.back().key, frame.score);  // {"A": {"score": 0.8}}
      }
    }
    // As many numbers as candidates and no labels: by position.
    if (!frame.object && frame.elements == out_.candidates() && frame.numbers.size() == frame.elements &&
        out_.named() == 0) {
      for (std::size_t k = 0; k < frame.numbers.size(); ++k) out_.put(k, frame.numbers[k]);
    }
    return true;
  }

  Collector& out_;
  std::vector<Frame> frames_;
};

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// "A: 0.8", "(B) = 70%", "C. NaN": a word that is a label, something between, a number.
void read_pairs(std::string_view text, Collector& out) {
  constexpr std::string_view kBetween = " \t\"'`()[]*:=->.,|";
  for (std::size_t at = 0; at < text.size();) {
    if (!is_word(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    const std::string_view word = text.substr(at, end - at);
    at = end;
    if (word.size() > 3 || !out.labels().find(word)) continue;
    std::size_t next = end;
    while (next < text.size() && kBetween.find(text[next]) != kBetween.npos) ++next;
    // An article is a label as well: without a sign between, "A 5 star product" is none.
    if (text.substr(end, next - end).find_first_of(":=->)|.,]") == text.npos) continue;
    if (next > end && text[next - 1] == '-' && (next < 2 || text[next - 2] == ' ' || text[next - 2] == ':')) {
      // A sign, unless it is the separator: "A: -1", but "A - 0.5".
      const std::string_view between = text.substr(end, next - end - 1);
      if (between.find_first_of(":=>)|.,]") != between.npos) --next;
    } else if (next > end && text[next - 1] == '.' && next < text.size() && text[next] >= '0' &&
               text[next] <= '9' && text.substr(end, next - end - 1).find_first_of(":=") != text.npos) {
      --next;  // "A: .5"
    }
    std::size_t used = 0;
    if (const auto number = leading_number(text.substr(next), used)) {
      out.add(word, number);
      at = next + used;
    } else if (lower(text.substr(next, 3)) == "nan" || lower(text.substr(next, 4)) == "null" ||
               lower(text.substr(next, 4)) == "none" || lower(text.substr(next, 3)) == "n/a") {
      out.add(word, std::nullopt);
      at = next;
    }
  }
}

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
  unknown += other.unknown;
  converted += other.converted;
  return *this;
}

std::int64_t ReadAnswer::read() const {
  return std::count_if(scores.begin(), scores.end(), [](float score) { return !std::isnan(score); });
}

ReadAnswer read_scores_text(std::string_view text, std::size_t candidates) {
  // What a model thinks aloud is no answer.
  constexpr std::string_view kThought = "</think>";
  if (const auto end = text.rfind(kThought); end != text.npos) text.remove_prefix(end + kThought.size());

  Collector best(candidates);
  int attempts = 0;
  for (std::size_t at = text.find_first_of("{["); at != text.npos && attempts < kMostAttempts;
       at = text.find_first_of("{[", at + 1), ++attempts) {
    Collector found(candidates);
    JsonReader reader(found);
    const std::string_view rest = text.substr(at);
    json::sax_parse(rest.begin(), rest.end(), &reader, json::input_format_t::json, /*strict=*/false);
    if (found.named() > best.named()) best = std::move(found);
    if (2 * best.named() > candidates) break;  // an example or an aside has fewer
  }
  Collector pairs(candidates);
  if (2 * best.named() <= candidates) read_pairs(text, pairs);
  return (pairs.named() > best.named() ? pairs : best).finish();
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
  for (const double m : mass) {
    if (m > 0) lowest = std::min(lowest, m);
    answer.faults.missing += !(m > 0);
  }
  if (!std::isfinite(lowest)) {
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
