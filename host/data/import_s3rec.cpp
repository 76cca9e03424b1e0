// S3-Rec sequences, NAME.txt: one user a line, the user and then the items in time order, separated by
// blanks. Where NAME_item2attributes.json lies beside it, {"item": [attribute, ...], ...}, the items get
// attributes, which are not labelled; there are no texts.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/base/json_text.h"
#include "host/data/date_range.h"
#include "host/data/importer.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"

namespace sllmr {
namespace {

const std::vector<std::string> kEndings = with_gzip({".txt"});

Dataset read_sequences(const std::string& path, const ImportOptions& options) {
  LineReader reader(path);
  refuse_dates(options, path);
  const RowFilter filter(path, options, {});  // there is nothing to choose by
  InteractionTable interactions;
  TokenMap users;
  struct Seen {
    std::int64_t line;
    std::size_t hash;
  };
  std::vector<Seen> seen{{}};  // by user
  std::int64_t repeated = 0;
  std::vector<std::string_view> tokens;
  std::string_view line = reader.first();
  do {
    while (line.ends_with(' ')) line.remove_suffix(1);
    split(line, " ", tokens);
    const Id user = users.add(tokens[0]);
    const std::size_t hash = std::hash<std::string_view>{}(line);
    if (user < static_cast<Id>(seen.size())) {
      const bool equal = hash == seen[user].hash;
      if (equal && (options.duplicates == Duplicates::first || options.duplicates == Duplicates::last)) {
        ++repeated;
        continue;
      }
      reader.fail(fmt::format(
          "user '{}' has {} {} already; {}", tokens[0], equal ? "the same line" : "line", seen[user].line,
          equal ? "delete one, or set data.duplicates to first or last" : "merge the lines"));
    }
    seen.push_back({reader.line_number(), hash});
    if (tokens.size() < 2)
      reader.fail("the user has no items; write `user item item ...` or delete the line");
    for (std::size_t k = 1; k < tokens.size(); ++k) {
      interactions.add(reader, tokens[0], tokens[k], static_cast<Time>(k));
    }
  } while (reader.next(line));
  Dataset data = interactions.build(reader, base_name(path, kEndings), options);
  if (repeated > 0) {
    data.notes.push_back(
        fmt::format("note: {}: {} lines are there twice; one of them counts", path, repeated));
  }
  return data;
}

/// Reads the whole JSON object: it may stand in one line or in many.
void read_attributes(const std::string& path, Dataset& data, const ImportOptions& options) {
  LineReader reader(path);
  std::string text(reader.first());
  for (std::string_view line; reader.next(line);) text += line;
  const auto json = parse_json(text);
  if (!json || !json->is_object()) {
    reader.fail("not a JSON object of item: [attribute, ...], or nested too deep; copy the file again");
  }

  ItemTable items(data, options);
  std::vector<std::string> values;
  std::vector<Attribute> attributes;
  for (const auto& [item, list] : json->items()) {
    if (!list.is_array()) reader.fail(fmt::format("item '{}' has no list of attributes; correct it", item));
    values.clear();
    for (const auto& value : list)
      values.push_back(value.is_string() ? value.get<std::string>() : json_text(value));
    attributes.clear();
    for (const std::string& value : values) attributes.push_back({value});
    items.add(reader, item, "", attributes);
  }
  items.finish(reader);
}

bool is_number(std::string_view token) {
  return !token.empty() && token.find_first_not_of("0123456789") == token.npos;
}

bool recognises(std::string_view file_name, std::string_view first_line) {
  const auto ends = [&](const std::string& ending) { return file_name.ends_with(ending); };
  if (std::ranges::none_of(kEndings, ends)) return false;
  std::vector<std::string_view> tokens;
  split(first_line, " ", tokens);
  if (tokens.size() > 1) tokens.pop_back();  // a blank may end the line, and a long line may be cut short
  return tokens.size() > 1 && std::ranges::all_of(tokens, is_number);
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  Dataset data = read_sequences(files.front(), options);
  add_items(data, files.front(), with_gzip({data.name + "_item2attributes.json"}), options, read_attributes);
  return data;
}

}  // namespace

Importer s3rec_importer() {
  return {"s3rec", kEndings, recognises, load};
}

}  // namespace sllmr
