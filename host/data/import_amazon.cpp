// Amazon reviews (reviews_Beauty_5.json.gz, Beauty_5.json): one JSON object a line with reviewerID, asin and
// unixReviewTime. Every review counts as an interaction, whatever its rating (`overall`), unless data.keep
// says otherwise; a key that labels reviews (`label`, see RowFilter) must be in all or none. Metadata
// (meta_Beauty.json.gz) are one object a line too, in JSON or as Python prints them, with asin, title, brand
// and categories (or `category`); brand and categories become attributes labelled so.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "host/base/json_text.h"
#include "host/data/importer.h"
#include "host/data/python_literal.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"

namespace sllmr {
namespace {

using Json = nlohmann::json;

const std::vector<std::string> kEndings = with_gzip({".json", ".jsonl"});

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
  std::string name = base_name(base_name(path, {".gz"}), kEndings);
  if (name.starts_with("reviews_")) name.erase(0, 8);
  if (name.ends_with("_5")) name.erase(name.size() - 2);
  return name;
}

/// A value as RowFilter reads it.
std::string filter_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

/// Keys of a review that rows may be chosen by: labels, and those of numbers and of true or false.
std::vector<std::string> choosable(const Json& review) {
  constexpr std::array<std::string_view, 6> kOthers{"reviewerID",   "asin",       "unixReviewTime",
                                                    "reviewerName", "reviewText", "summary"};
  std::vector<std::string> keys;
  for (const auto& [key, value] : review.items()) {
    if (std::ranges::find(kOthers, key) != kOthers.end()) continue;
    if (is_label(key) || filter_value(filter_text(value))) keys.push_back(key);
  }
  return keys;
}

/// Error where the review has a label and the first one, whose `columns` these are, had none.
void check_labels(const LineReader& reader, const Json& review, std::span<const std::string> columns) {
  for (const auto& [key, value] : review.items()) {
    if (is_label(key) && std::ranges::find(columns, key) == columns.end()) {
      reader.fail(fmt::format(
          "there is a {}, which line 1 lacks; add it to all lines, or set data.keep to all or to conditions",
          key));
    }
  }
}

Time review_time(const LineReader& reader, const Json& review) {
  const auto time = review.find("unixReviewTime");
  if (time == review.end() || !time->is_number()) {
    reader.fail("there is no number unixReviewTime; correct or delete the line");
  }
  // The text of a number that has become a double is lost.
  constexpr double kExact = 9007199254740992.0;
  if (time->is_number_float() && std::abs(time->get<double>()) > kExact) {
    reader.fail("unixReviewTime is too large; use a coarser unit");
  }
  return reader.time(time->dump(), "unixReviewTime");
}

Dataset read_reviews(const std::string& path, const ImportOptions& options) {
  LineReader reader(path);
  InteractionTable interactions;
  std::string_view line = reader.first();
  const std::vector<std::string> columns = choosable(parse_object(reader, line));
  RowFilter filter(path, options.keep, columns);
  std::string text;
  do {
    const Json review = parse_object(reader, line);
    if (options.keep == "auto") check_labels(reader, review, columns);
    const bool keep = filter.keeps(reader, [&](std::size_t column) -> std::string_view {
      const auto value = review.find(columns[column]);
      text = value == review.end() ? "" : filter_text(*value);
      return text;
    });
    if (!keep) continue;
    const Time time = review_time(reader, review);
    interactions.add(reader, require_string(reader, review, "reviewerID"),
                     require_string(reader, review, "asin"), time);
  } while (reader.next(line));
  Dataset data = interactions.build(reader, category_name(path), options.duplicates);
  filter.report(data.notes);
  return data;
}

/// All strings in nested lists: categories are lists of paths.
void collect_strings(const Json& value, AttributeKind kind, std::vector<Attribute>& strings) {
  if (value.is_string()) strings.push_back({value.get_ref<const std::string&>(), kind});
  if (value.is_array()) {
    for (const Json& element : value) collect_strings(element, kind, strings);
  }
}

void read_metadata(const std::string& path, Dataset& data, const ImportOptions& options) {
  LineReader reader(path);
  ItemTable items(data, options);
  std::vector<Attribute> attributes;
  std::string_view line = reader.first();
  do {
    const Json item = parse_object(reader, line);
    attributes.clear();
    for (const char* key : {"brand", "categories", "category"}) {
      const AttributeKind kind =
          key == std::string_view("brand") ? AttributeKind::brand : AttributeKind::category;
      if (const auto found = item.find(key); found != item.end()) collect_strings(*found, kind, attributes);
    }
    items.add(reader, require_string(reader, item, "asin"), optional_string(item, "title"), attributes);
  } while (reader.next(line));
  items.finish(reader);
}

bool recognises(std::string_view, std::string_view first_line) {
  return first_line.starts_with('{') && first_line.find("reviewerID") != first_line.npos;
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  Dataset data = read_reviews(files.front(), options);
  std::vector<std::string> names;
  for (const std::string& ending : kEndings) names.push_back("meta_" + data.name + ending);
  add_items(data, files.front(), names, options, read_metadata);
  return data;
}

}  // namespace

Importer amazon_importer() {
  return {"amazon", kEndings, recognises, load};
}

}  // namespace sllmr
