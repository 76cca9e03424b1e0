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
#include <span>
#include <utility>

#include "host/data/importer.h"
#include "host/data/json_object.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"

namespace sllmr {
namespace {

using Kind = JsonObject::Kind;

const std::vector<std::string> kEndings = with_gzip({".json", ".jsonl"});
const std::vector<std::string> kTableEndings = with_gzip({".csv"});
constexpr std::string_view kTableHeader = "user_id,parent_asin,rating,timestamp";

/// What keys are called.
struct Keys {
  const char *user, *item, *time;
};
constexpr Keys kUntil2018{"reviewerID", "asin", "unixReviewTime"},
    kOf2023{"user_id", "parent_asin", "timestamp"};
const Keys& keys_of(JsonObject& object) {
  return object.kind(object.column(kOf2023.item)) == Kind::none ? kUntil2018 : kOf2023;
}

/// Reads the object in the current line of `reader`.
void read_object(const LineReader& reader, std::string_view line, JsonObject& object) {
  if (object.parse(line)) return;
  reader.fail(
      "not a JSON object or Python dictionary, nested too deep or cut off; correct the line or copy the "
      "file again");
}

std::string_view require_string(const LineReader& reader, const JsonObject& object, std::size_t column,
                                const char* key) {
  const std::string_view text = object.kind(column) == Kind::text ? object.text(column) : "";
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

/// Keys of a review that rows may be chosen by: labels, and those of numbers and of true or false.
std::vector<std::string> choosable(JsonObject& review) {
  constexpr std::array<std::string_view, 12> kOthers{
      "reviewerID", "asin",        "unixReviewTime", "reviewerName", "reviewText", "summary",
      "user_id",    "parent_asin", "timestamp",      "title",        "text",       "images"};
  std::vector<std::string> keys;
  for (const std::string& key : review.keys()) {
    if (std::ranges::find(kOthers, key) != kOthers.end()) continue;
    if (is_label(key) || filter_value(review.text(review.column(key)))) keys.push_back(key);
  }
  return keys;
}

Time review_time(const LineReader& reader, const JsonObject& review, std::size_t column, const char* key) {
  const Kind kind = review.kind(column);
  if (kind != Kind::integer && kind != Kind::real) {
    reader.fail(fmt::format("there is no number {}; correct or delete the line", key));
  }
  const std::string_view text = review.text(column);
  if (kind == Kind::real) {
    // The text of a number that has become a double is lost.
    constexpr double kExact = 9007199254740992.0;
    if (std::abs(reader.number(text, key)) > kExact) {
      reader.fail(fmt::format("{} is too large; use a coarser unit", key));
    }
  }
  return reader.time(text, key);
}

Dataset read_reviews(const std::string& path, const ImportOptions& options) {
  LineReader reader(path);
  InteractionTable interactions;
  JsonObject review;
  std::string_view line = reader.first();
  read_object(reader, line, review);
  const Keys keys = keys_of(review);
  const std::vector<std::string> names = choosable(review);
  RowFilter filter(path, options, names);
  const std::size_t user = review.column(keys.user), item = review.column(keys.item),
                    time = review.column(keys.time);
  std::vector<std::size_t> columns;  // of the names
  for (const std::string& name : names) columns.push_back(review.column(name));
  std::optional<AbsentLabels> absent;
  if (options.keep == "auto") absent.emplace(names, review);
  do {
    read_object(reader, line, review);
    if (absent) absent->check(reader, review);
    const auto verdict = filter.judge(reader, [&](std::size_t name) { return review.text(columns[name]); });
    if (verdict == RowFilter::Verdict::left_out) continue;
    const Time when = review_time(reader, review, time, keys.time);
    const std::string_view by = require_string(reader, review, user, keys.user),
                           what = require_string(reader, review, item, keys.item);
    if (verdict == RowFilter::Verdict::counts)
      interactions.add(reader, by, what, when);
    else
      interactions.add_shown(interactions.user(reader, by), interactions.item(reader, what),
                             {.first = when, .last = when});
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
  const bool split = files.size() > 1, given = split && !joins_parts(options.split);
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

void read_metadata(const std::string& path, Dataset& data, const ImportOptions& options) {
  LineReader reader(path);
  ItemTable items(data, options);
  JsonObject item;
  const std::size_t title = item.column("title");
  std::string_view line = reader.first();
  do {
    read_object(reader, line, item);
    const Keys& keys = keys_of(item);
    const std::string brand = &keys == &kOf2023 ? "store" : "brand";
    std::vector<std::string> words;
    std::vector<AttributeKind> kinds;
    for (const std::string& key :
         {brand, std::string("main_category"), std::string("categories"), std::string("category")}) {
      for (std::string& word : item.words(item.column(key))) words.push_back(std::move(word));
      kinds.resize(words.size(), key == brand ? AttributeKind::brand : AttributeKind::category);
    }
    std::vector<Attribute> attributes;
    for (std::size_t k = 0; k < words.size(); ++k) attributes.push_back({words[k], kinds[k]});
    items.add(reader, require_string(reader, item, item.column(keys.item), keys.item),
              item.kind(title) == Kind::text ? item.text(title) : "", attributes);
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
