#include "host/data/json_object.h"

#include <simdjson.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "host/base/json_text.h"
#include "host/data/python_literal.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using Element = simdjson::dom::element;
using Type = simdjson::dom::element_type;

/// JSON as the rest of the program writes it, on which ids that are numbers depend.
std::string written(const Element& value) {
  switch (value.type()) {
    case Type::INT64:
      return std::to_string(value.get_int64().value_unsafe());
    case Type::UINT64:
      return std::to_string(value.get_uint64().value_unsafe());
    case Type::DOUBLE:
      return json_text(value.get_double().value_unsafe());
    default:
      return json_text(parse_json(simdjson::minify(value)).value_or(nullptr));
  }
}

void collect_words(const Element& value, std::vector<std::string>& words) {
  switch (value.type()) {
    case Type::STRING:
      words.emplace_back(value.get_string().value_unsafe());
      break;
    case Type::ARRAY: {
      const simdjson::dom::array list = value.get_array().value_unsafe();
      for (const Element each : list) collect_words(each, words);
      break;
    }
    case Type::NULL_VALUE:
    case Type::OBJECT:
      break;
    default:
      words.push_back(written(value));
  }
}

}  // namespace

struct JsonObject::Parsed {
  struct Column {
    std::string key;
    std::optional<Element> value;
    std::string text;  // of a value that is no string
  };
  /// What a key was that stood in this place of an object before: most files keep their order.
  struct Guess {
    std::string key;
    std::size_t column;  // kNone: not asked for
  };
  static constexpr std::size_t kNone = -1;

  simdjson::dom::parser parser;
  simdjson::dom::object object;
  bool any = false;
  std::vector<Column> columns;
  std::vector<Guess> guesses;

  /// Whether `text` is an object, which it then is.
  bool take(std::string_view text) {
    return parser.parse(text.data(), text.size()).get(object) == simdjson::SUCCESS;
  }
  std::size_t column_of(std::string_view key) const {
    const auto found = std::ranges::find(columns, key, &Column::key);
    return found == columns.end() ? kNone : static_cast<std::size_t>(found - columns.begin());
  }
};

JsonObject::JsonObject() : parsed_(std::make_unique<Parsed>()) {
  // simdjson counts the document as one level more.
  constexpr std::size_t kUsualLine = 1 << 16;
  require(parsed_->parser.allocate(kUsualLine, kDeepestJson + 1) == simdjson::SUCCESS, "out of memory");
}

JsonObject::~JsonObject() = default;

bool JsonObject::parse(std::string_view line) {
  // No JSON begins as a dictionary of Python mostly does.
  const bool is_python = line.starts_with("{'") || line.starts_with("{u'");
  parsed_->any = !is_python && parsed_->take(line);
  if (!parsed_->any) {
    const std::string json = python_to_json(line);
    parsed_->any = parsed_->take(json);
    if (!parsed_->any) {
      // Integers beyond 64 bits, which simdjson refuses, are doubles to the rest of the program.
      const std::optional<nlohmann::json> value = parse_json(json);
      parsed_->any = value && parsed_->take(json_text(*value));
    }
  }
  find_columns();
  return parsed_->any;
}

void JsonObject::find_columns() {
  for (Parsed::Column& column : parsed_->columns) column.value.reset();
  if (!parsed_->any) return;
  std::size_t place = 0;
  for (const auto& [key, value] : parsed_->object) {
    if (place == parsed_->guesses.size()) parsed_->guesses.push_back({"", Parsed::kNone});
    Parsed::Guess& guess = parsed_->guesses[place++];
    if (guess.key != key) guess = {std::string(key), parsed_->column_of(key)};
    if (guess.column != Parsed::kNone) parsed_->columns[guess.column].value = value;
  }
}

std::vector<std::string> JsonObject::keys() const {
  std::set<std::string> keys;
  for (const auto& [key, value] : parsed_->object) keys.emplace(key);
  return {keys.begin(), keys.end()};
}

std::size_t JsonObject::column(const std::string& key) {
  const std::size_t known = parsed_->column_of(key);
  if (known != Parsed::kNone) return known;
  parsed_->columns.push_back({key, std::nullopt, ""});
  parsed_->guesses.clear();
  find_columns();
  return parsed_->columns.size() - 1;
}

JsonObject::Kind JsonObject::kind(std::size_t column) const {
  const std::optional<Element>& value = parsed_->columns[column].value;
  if (!value) return Kind::none;
  switch (value->type()) {
    case Type::NULL_VALUE:
      return Kind::null;
    case Type::STRING:
      return Kind::text;
    case Type::INT64:
    case Type::UINT64:
      return Kind::integer;
    case Type::DOUBLE:
      return Kind::real;
    case Type::BOOL:
      return Kind::truth;
    case Type::ARRAY:
      return Kind::list;
    case Type::OBJECT:
      return Kind::object;
  }
  return Kind::none;
}

std::string_view JsonObject::text(std::size_t column) const {
  Parsed::Column& asked = parsed_->columns[column];
  if (!asked.value || asked.value->is_null()) return "";
  if (asked.value->is_string()) return asked.value->get_string().value_unsafe();
  return asked.text = written(*asked.value);
}

std::vector<std::string> JsonObject::words(std::size_t column) const {
  std::vector<std::string> words;
  if (const std::optional<Element>& value = parsed_->columns[column].value) collect_words(*value, words);
  return words;
}

}  // namespace sllmr
