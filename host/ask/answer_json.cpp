#include "host/ask/answer_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "host/base/json_text.h"
#include "host/base/lower_case.h"

namespace sllmr::answers {
namespace {

using nlohmann::json;

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
  JsonReader(const CandidateLabels& labels, std::size_t candidates)
      : labels_(labels), candidates_(candidates) {}

  /// What was read. `valid` is what the parser says.
  JsonPairs result(bool valid) && {
    pairs_.valid = valid;
    if (last_is_value_) pairs_.last_number = last_list_;
    return std::move(pairs_);
  }

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
    pairs_.error_at = position;
    pairs_.error_is_a_bracket = token.ends_with('}') || token.ends_with(']');
    pairs_.error_is_a_string = token.starts_with('"');
    return false;
  }

 private:
  struct Frame {
    bool object = false, aside = false;
    std::size_t list = kUnknown;        // its index in `lists`, once it has one
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
      frame.aside = parent.aside ||
                    (parent.object && !labels_.find(parent.key) && names_an_aside(lower_case(parent.key)));
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
    const auto position = labels_.find(label);
    if (!position && !number) return;  // a text beside the scores, such as a reason, is no fault
    put(frame, {position.value_or(kUnknown), number, false});
    labelled_ = labelled_ || position;
  }
  void put(Frame& frame, const Pair& pair) {
    if (frame.list == kUnknown) {
      frame.list = pairs_.lists.size();
      pairs_.lists.push_back({{}, frame.aside});
    }
    pairs_.lists[frame.list].pairs.push_back(pair);
    last_list_ = frame.list;
    last_added_ = true;
  }
  bool value(const std::optional<Number>& number, const std::string& text) {
    last_is_value_ = last_added_ = false;
    if (frames_.empty()) return true;
    Frame& frame = frames_.back();
    if (frame.object) {
      const std::string name = lower_case(frame.key);
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

  const CandidateLabels& labels_;
  JsonPairs pairs_;
  std::size_t candidates_;
  std::vector<Frame> frames_;
  bool labelled_ = false;       // a label was named
  bool last_is_value_ = false;  // the last event was a plain number that became a pair
  bool last_added_ = false;
  std::size_t last_list_ = kUnknown;
};

}  // namespace

void JsonPairs::drop_last() {
  if (last_number < lists.size() && !lists[last_number].pairs.empty()) lists[last_number].pairs.pop_back();
}

JsonPairs read_json_pairs(std::string_view text, const CandidateLabels& labels, std::size_t candidates) {
  JsonReader reader(labels, candidates);
  const bool valid = json::sax_parse(text, &reader);
  return std::move(reader).result(valid);
}

}  // namespace sllmr::answers
