// RecBole atomic files: NAME.inter, and where they exist NAME.item and NAME.user. Tab-separated; the header
// names and types the columns, in any order; lists (token_seq) are split by blanks. Histories are ordered by
// `timestamp` or, without it, by `position`. An item's text is its `title` (or `movie_title`, `item_name`,
// `name`); its attributes are the values of `attributes`, `categories`, `brand`, `class`, `genre` and
// `genres`.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "host/atomic_file.h"
#include "host/data/import.h"
#include "host/data/importer.h"
#include "host/data/tables.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

const std::vector<std::string> kEndings{".inter", ".inter.gz"};
constexpr std::array kTypes{"token", "token_seq", "float", "float_seq"};
constexpr std::array kTimes{"timestamp", "position"};
constexpr std::array kTitles{"title", "movie_title", "item_name", "name"};
constexpr std::array kAttributes{"attributes", "categories", "brand", "class", "genre", "genres"};

/// A RecBole file: reads the header, then rows of as many fields.
class AtomicTable {
 public:
  struct Column {
    std::string name, type;
  };

  explicit AtomicTable(const std::string& path) : reader_(path) {
    std::vector<std::string_view> cells;
    split(reader_.first(), "\t", cells);
    for (const std::string_view cell : cells) {
      const std::size_t colon = cell.find(':');
      const auto type = colon == cell.npos ? "" : cell.substr(colon + 1);
      if (std::ranges::find(kTypes, type) == kTypes.end()) {
        reader_.fail(fmt::format("header '{}' is not name:type with type {}; correct it", cell,
                                 fmt::join(kTypes, ", ")));
      }
      columns_.push_back({std::string(cell.substr(0, colon)), std::string(type)});
    }
  }

  /// Index of the first of `names` that is a column, or -1.
  template <class Names>
  int find(const Names& names) const {
    for (const std::string_view name : names) {
      const auto column = std::ranges::find(columns_, name, &Column::name);
      if (column != columns_.end()) return static_cast<int>(column - columns_.begin());
    }
    return -1;
  }
  /// As find(); Error when there is none.
  template <class Names>
  std::size_t require_column(const Names& names) const {
    const int column = find(names);
    if (column < 0) {
      reader_.fail(fmt::format("the header has no column {}; add it as name:type", fmt::join(names, " or ")));
    }
    return static_cast<std::size_t>(column);
  }

  bool next() {
    std::string_view line;
    if (!reader_.next(line)) return false;
    reader_.split_exactly(line, "\t", columns_.size(), fields_);
    return true;
  }
  std::string_view operator[](std::size_t column) const { return fields_[column]; }
  const std::vector<Column>& columns() const { return columns_; }
  const LineReader& reader() const { return reader_; }

 private:
  LineReader reader_;
  std::vector<Column> columns_;
  std::vector<std::string_view> fields_;
};

Dataset read_interactions(const std::string& path) {
  AtomicTable table(path);
  const std::size_t user = table.require_column(std::array{"user_id"});
  const std::size_t item = table.require_column(std::array{"item_id"});
  const std::size_t time = table.require_column(kTimes);
  InteractionTable interactions;
  while (table.next()) {
    const double when = table.reader().number(table[time], table.columns()[time].name);
    interactions.add(table.reader(), table[user], table[item], when);
  }
  return interactions.build(table.reader(), base_name(path, kEndings));
}

void read_items(const std::string& path, Dataset& data) {
  AtomicTable table(path);
  const std::size_t item = table.require_column(std::array{"item_id"});
  const int title = table.find(kTitles);
  std::vector<std::size_t> attribute_columns;
  for (const auto* name : kAttributes) {
    if (const int column = table.find(std::array{name}); column >= 0) attribute_columns.push_back(column);
  }
  ItemTable items(data);
  std::vector<std::string_view> values, attributes;
  while (table.next()) {
    attributes.clear();
    for (const std::size_t column : attribute_columns) {
      const bool list = table.columns()[column].type == "token_seq";
      split(table[column], list ? " " : "\t", values);  // a single token has no tab in it
      attributes.insert(attributes.end(), values.begin(), values.end());
    }
    items.add(table.reader(), table[item], title < 0 ? "" : table[title], attributes);
  }
  items.finish();
}

/// Nothing of a user file is used yet, but a broken one points to a broken copy of the data.
void check_users(const std::string& path) {
  AtomicTable table(path);
  const std::size_t user = table.require_column(std::array{"user_id"});
  TokenMap seen;
  std::vector<std::int64_t> lines{0};
  while (table.next()) {
    const Id id = seen.add(table[user]);
    if (id < static_cast<Id>(lines.size())) {
      table.reader().fail(
          id == 0 ? "the user id is empty; correct or delete the line"
                  : fmt::format("user '{}' is described in line {} already; delete one of the lines",
                                table[user], lines[id]));
    }
    lines.push_back(table.reader().line_number());
  }
}

bool recognises(std::string_view file_name, std::string_view) {
  return std::ranges::any_of(kEndings,
                             [&](const std::string& ending) { return file_name.ends_with(ending); });
}

Dataset load(const std::string& interactions, const std::string& items) {
  Dataset data = read_interactions(interactions);
  const std::string name = base_name(interactions, kEndings);
  const std::string item_path =
      !items.empty() ? items : find_beside(interactions, {name + ".item", name + ".item.gz"});
  if (!item_path.empty()) read_items(item_path, data);
  const std::string user_path = find_beside(interactions, {name + ".user", name + ".user.gz"});
  if (!user_path.empty()) check_users(user_path);
  return data;
}

}  // namespace

Importer recbole_importer() {
  return {"recbole", kEndings, recognises, load};
}

void save_recbole(const Dataset& data, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, fmt::format("{}: cannot be created ({}); name a folder that can be written", folder,
                              error.message()));
  const std::string prefix = (std::filesystem::path(folder) / data.name).string();

  AtomicFile items(prefix + ".item");
  items.stream() << "item_id:token\ttitle:token_seq\tattributes:token_seq\n";
  for (Id item = 1; item < data.items.rows(); ++item) {
    items.stream() << data.items.token(item) << '\t' << data.titles[item] << '\t';
    const char* separator = "";
    for (const Id attribute : data.attributes_of(item)) {
      items.stream() << separator << data.attributes.token(attribute);
      separator = " ";
    }
    items.stream() << '\n';
  }

  AtomicFile interactions(prefix + ".inter");
  interactions.stream() << "user_id:token\titem_id:token\tposition:float\n";
  for (Id user = 1; user < data.users.rows(); ++user) {
    std::int64_t position = 0;
    for (const Id item : data.user_history(user)) {
      interactions.stream() << data.users.token(user) << '\t' << data.items.token(item) << '\t' << position++
                            << '\n';
    }
  }
  items.commit();
  interactions.commit();
}

}  // namespace sllmr
