// Amazon reviews (reviews_Beauty_5.json.gz, Beauty_5.json): one JSON object a line with reviewerID, asin and
// unixReviewTime. Every review counts as an interaction, whatever its rating. Metadata (meta_Beauty.json.gz)
// are one object a line too, in JSON or as Python prints them, with asin, title, brand and categories (or
// `category`); brand and categories become attributes.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "host/data/importer.h"
#include "host/data/python_literal.h"
#include "host/data/tables.h"
#include "host/json_text.h"

namespace sllmr {
namespace {

using Json = nlohmann::json;

/// The object in the current line of `reader`.
Json parse_object(const LineReader& reader, std::string_view line) {
  std::optional<Json> object = parse_json(line);
  if (!object) object = parse_json(python_to_json(line));
  if (!object || !object->is_object()) {
    reader.fail(
        "not a JSON object or Python dictionary, nested too deep or cut off; correct the line or copy the "
        "file again");
  }
  return *std::move(object);
}

/// The string under `key`, or "" where there is none: metadata have holes.
std::string_view optional_string(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || !found->is_string()
             ? ""
             : std::string_view(found->get_ref<const std::string&>());
}

std::string_view require_string(const LineReader& reader, const Json& object, const char* key) {
  const std::string_view text = optional_string(object, key);
  if (text.empty()) reader.fail(fmt::format("there is no string {}; correct or delete the line", key));
  return text;
}

/// Category, reviews_Category and reviews_Category_5 without their endings and affixes.
std::string category_name(const std::string& path) {
  std::string name = base_name(path, {".json.gz", ".json", ".jsonl.gz", ".jsonl", ".gz"});
  if (name.starts_with("reviews_")) name.erase(0, 8);
  if (name.ends_with("_5")) name.erase(name.size() - 2);
  return name;
}

Dataset read_reviews(const std::string& path) {
  LineReader reader(path);
  InteractionTable interactions;
  std::string_view line = reader.first();
  do {
    const Json review = parse_object(reader, line);
    const auto time = review.find("unixReviewTime");
    if (time == review.end() || !time->is_number()) {
      reader.fail("there is no number unixReviewTime; correct or delete the line");
    }
    interactions.add(reader, require_string(reader, review, "reviewerID"),
                     require_string(reader, review, "asin"), time->get<double>());
  } while (reader.next(line));
  return interactions.build(reader, category_name(path));
}

/// All strings in nested lists: categories are lists of paths.
void collect_strings(const Json& value, std::vector<std::string_view>& strings) {
  if (value.is_string()) strings.push_back(value.get_ref<const std::string&>());
  if (value.is_array()) {
    for (const Json& element : value) collect_strings(element, strings);
  }
}

void read_metadata(const std::string& path, Dataset& data) {
  LineReader reader(path);
  ItemTable items(data);
  std::vector<std::string_view> attributes;
  std::string_view line = reader.first();
  do {
    const Json item = parse_object(reader, line);
    attributes.clear();
    for (const char* key : {"brand", "categories", "category"}) {
      if (const auto found = item.find(key); found != item.end()) collect_strings(*found, attributes);
    }
    items.add(reader, require_string(reader, item, "asin"), optional_string(item, "title"), attributes);
  } while (reader.next(line));
  items.finish();
}

bool recognises(std::string_view, std::string_view first_line) {
  return first_line.starts_with('{') && first_line.find("reviewerID") != first_line.npos;
}

Dataset load(const std::string& interactions, const std::string& items) {
  Dataset data = read_reviews(interactions);
  const std::string meta = "meta_" + data.name;
  const std::string path =
      !items.empty() ? items : find_beside(interactions, {meta + ".json.gz", meta + ".json"});
  if (!path.empty()) read_metadata(path, data);
  return data;
}

}  // namespace

Importer amazon_importer() {
  return {"amazon", {".json.gz", ".json"}, recognises, load};
}

}  // namespace sllmr
