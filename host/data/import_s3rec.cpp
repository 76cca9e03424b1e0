// S3-Rec sequences, NAME.txt: one user a line, the user and then the items in time order, separated by
// blanks. Where NAME_item2attributes.json lies beside it, {"item": [attribute, ...], ...}, the items get
// attributes; there are no texts.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/data/importer.h"
#include "host/data/tables.h"
#include "host/json_text.h"

namespace sllmr {
namespace {

const std::vector<std::string> kEndings{".txt", ".txt.gz"};

Dataset read_sequences(const std::string& path) {
  LineReader reader(path);
  InteractionTable interactions;
  TokenMap users;
  std::vector<std::int64_t> lines{0};  // by user
  std::vector<std::string_view> tokens;
  std::string_view line = reader.first();
  do {
    while (line.ends_with(' ')) line.remove_suffix(1);
    split(line, " ", tokens);
    const Id user = users.add(tokens[0]);
    if (user < static_cast<Id>(lines.size())) {
      reader.fail(fmt::format("user '{}' has line {} already; merge the lines", tokens[0], lines[user]));
    }
    lines.push_back(reader.line_number());
    if (tokens.size() < 2)
      reader.fail("the user has no items; write `user item item ...` or delete the line");
    for (std::size_t k = 1; k < tokens.size(); ++k) {
      interactions.add(reader, tokens[0], tokens[k], static_cast<double>(k));
    }
  } while (reader.next(line));
  return interactions.build(reader, base_name(path, kEndings));
}

/// Reads the whole JSON object: it may stand in one line or in many.
void read_attributes(const std::string& path, Dataset& data) {
  LineReader reader(path);
  std::string text(reader.first());
  for (std::string_view line; reader.next(line);) text += line;
  const auto json = parse_json(text);
  if (!json || !json->is_object()) {
    reader.fail("not a JSON object of item: [attribute, ...], or nested too deep; copy the file again");
  }

  ItemTable items(data);
  std::vector<std::string> values;
  for (const auto& [item, list] : json->items()) {
    if (!list.is_array()) reader.fail(fmt::format("item '{}' has no list of attributes; correct it", item));
    values.clear();
    for (const auto& value : list)
      values.push_back(value.is_string() ? value.get<std::string>() : json_text(value));
    items.add(reader, item, "", std::vector<std::string_view>(values.begin(), values.end()));
  }
  items.finish();
}

bool is_number(std::string_view token) {
  return !token.empty() && token.find_first_not_of("0123456789") == token.npos;
}

bool recognises(std::string_view file_name, std::string_view first_line) {
  if (!file_name.ends_with(".txt") && !file_name.ends_with(".txt.gz")) return false;
  std::vector<std::string_view> tokens;
  split(first_line, " ", tokens);
  if (tokens.size() > 1) tokens.pop_back();  // a blank may end the line, and a long line may be cut short
  return tokens.size() > 1 && std::ranges::all_of(tokens, is_number);
}

Dataset load(const std::string& interactions, const std::string& items) {
  Dataset data = read_sequences(interactions);
  const std::string path =
      !items.empty() ? items : find_beside(interactions, {data.name + "_item2attributes.json"});
  if (!path.empty()) read_attributes(path, data);
  return data;
}

}  // namespace

Importer s3rec_importer() {
  return {"s3rec", kEndings, recognises, load};
}

}  // namespace sllmr
