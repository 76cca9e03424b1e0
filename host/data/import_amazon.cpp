// Amazon reviews. Of 2014 and 2018 (reviews_Beauty_5.json.gz, Beauty_5.json): one JSON object a line with
// reviewerID, asin and unixReviewTime. Of 2023 (All_Beauty.jsonl.gz): user_id, parent_asin and timestamp, or
// as a table (Video_Games.csv; NAME.train.csv, NAME.valid.csv and NAME.test.csv came split) with the header
// user_id,parent_asin,rating,timestamp and perhaps a column history, which is not used. Every review counts
// as an interaction, whatever its rating (`overall`), unless data.keep says otherwise; a key that labels
// reviews (`label`, see RowFilter) must be in all or none. Metadata (meta_Beauty.json.gz) are one object a
// line too, in JSON or as Python prints them, with asin (parent_asin), title, brand (store) and categories
// (or `category`; main_category); brand and categories become attributes labelled so.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
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
const std::vector<std::string> kTableEndings = with_gzip({".csv"});
constexpr std::string_view kTableHeader = "user_id,parent_asin,rating,timestamp";

/// What keys are called.
struct Keys {
  const char *user, *item, *time;
};
constexpr Keys kUntil2018{"reviewerID", "asin", "unixReviewTime"},
    kOf2023{"user_id", "parent_asin", "timestamp"};
const Keys& keys_of(const Json& object) {
  return object.contains(kOf2023.item) ? kOf2023 : kUntil2018;
}

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
  constexpr std::array<std::string_view, 12> kOthers{
      "reviewerID", "asin",        "unixReviewTime", "reviewerName", "reviewText", "summary",
      "user_id",    "parent_asin", "timestamp",      "title",        "text",       "images"};
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

Time review_time(const LineReader& reader, const Json& review, const char* key) {
  const auto time = review.find(key);
  if (time == review.end() || !time->is_number()) {
    reader.fail(fmt::format("there is no number {}; correct or delete the line", key));
  }
  // The text of a number that has become a double is lost.
  constexpr double kExact = 9007199254740992.0;
  if (time->is_number_float() && std::abs(time->get<double>()) > kExact) {
    reader.fail(fmt::format("{} is too large; use a coarser unit", key));
  }
  return reader.time(time->dump(), key);
}

Dataset read_reviews(const std::string& path, const ImportOptions& options) {
  LineReader reader(path);
  InteractionTable interactions;
  std::string_view line = reader.first();
  const Json first = parse_object(reader, line);
  const Keys keys = keys_of(first);
  const std::vector<std::string> columns = choosable(first);
  RowFilter filter(path, options, columns);
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
    const Time time = review_time(reader, review, keys.time);
    interactions.add(reader, require_string(reader, review, keys.user),
                     require_string(reader, review, keys.item), time);
  } while (reader.next(line));
  Dataset data = interactions.build(reader, category_name(path), options);
  filter.report(data.notes);
  return data;
}

/// NAME of NAME.csv and of NAME.train.csv.
std::string table_name(const std::string& path) {
  const auto part = part_of(path);
  return base_name(part ? part->prefix : path, kTableEndings);
}

/// Adds the rows of one table.
std::vector<std::string> read_table(LineReader& reader, Part part, const ImportOptions& options,
                                    InteractionTable& interactions) {
  const std::vector<std::string> others{"rating"};
  std::vector<std::string> notes;
  std::string_view line = reader.first();
  std::size_t columns = 4;
  if (line == fmt::format("{},history", kTableHeader)) {
    columns = 5;
    notes.push_back(fmt::format("note: {}: not used: history", reader.path()));
  } else if (line != kTableHeader) {
    reader.fail(fmt::format("the header is not '{}', with or without ',history'; correct it", kTableHeader));
  }
  RowFilter filter(reader.path(), options, others);
  for (std::vector<std::string_view> fields; reader.next(line);) {
    reader.split_exactly(line, ",", columns, fields);
    if (!filter.keeps(reader, [&](std::size_t) { return fields[2]; })) continue;
    interactions.add(reader, fields[0], fields[1], reader.time(fields[3], "timestamp"), part);
  }
  filter.report(notes);
  return notes;
}

Dataset read_tables(const std::vector<std::string>& files, const ImportOptions& options) {
  const bool split = files.size() > 1, given = split && options.split != SplitSource::leave_one_out;
  InteractionTable interactions;
  std::vector<std::string> notes;
  std::unique_ptr<LineReader> reader;
  for (const std::string& file : files) {
    reader = std::make_unique<LineReader>(file);
    const auto part = part_of(file);
    const std::vector<std::string> told =
        read_table(*reader, split && part ? part->part : Part::train, options, interactions);
    notes.insert(notes.end(), told.begin(), told.end());
    if (!split && part) notes.push_back(note_of_part(file, *part));
  }
  Dataset data = interactions.build(*reader, table_name(files.front()), options, given);
  data.notes.insert(data.notes.begin(), notes.begin(), notes.end());
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
    const Keys& keys = keys_of(item);
    const char* brand = &keys == &kOf2023 ? "store" : "brand";
    for (const char* key : {brand, "main_category", "categories", "category"}) {
      const AttributeKind kind = key == brand ? AttributeKind::brand : AttributeKind::category;
      if (const auto found = item.find(key); found != item.end()) collect_strings(*found, kind, attributes);
    }
    items.add(reader, require_string(reader, item, keys.item), optional_string(item, "title"), attributes);
  } while (reader.next(line));
  items.finish(reader);
}

bool is_table(std::string_view first_line) {
  return first_line.starts_with(kTableHeader);
}

bool recognises(std::string_view, std::string_view first_line) {
  const auto has = [&](const char* key) {
    return first_line.find(fmt::format("\"{}\"", key)) != first_line.npos;
  };
  return is_table(first_line) ||
         (first_line.starts_with('{') &&
          (first_line.find(kUntil2018.user) != first_line.npos || (has(kOf2023.user) && has(kOf2023.item))));
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  const bool table =
      std::ranges::any_of(kTableEndings,
                          [&](const std::string& ending) { return files.front().ends_with(ending); }) ||
      is_table(LineReader(files.front()).first());
  Dataset data = table ? read_tables(files, options) : read_reviews(files.front(), options);
  std::vector<std::string> names;
  for (const std::string& ending : kEndings) names.push_back("meta_" + data.name + ending);
  add_items(data, files.front(), names, options, read_metadata);
  return data;
}

}  // namespace

Importer amazon_importer() {
  std::vector<std::string> endings = kEndings;
  const std::vector<std::string> tables = with_gzip({".csv", ".train.csv", ".valid.csv", ".test.csv"});
  endings.insert(endings.end(), tables.begin(), tables.end());
  return {"amazon", endings, recognises, load};
}

}  // namespace sllmr
