// RecBole atomic files: NAME.inter, or NAME.train.inter, NAME.valid.inter and NAME.test.inter, and where they
// exist NAME.item and NAME.user. Tab-separated; the header names and types the columns, in any order; for
// lists (token_seq) see split_list(). Histories are ordered by `timestamp` or, without it, by `position`; the
// parts of a split need neither. RowFilter says which rows are positives. An item's text is its `title` (or
// `movie_title`, `item_name`, `name`); its brand is `brand`, its categories are `categories`, `category`,
// `class`, `genre` and `genres`; `attributes` are unlabelled. Other columns are noted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "host/atomic_file.h"
#include "host/data/import.h"
#include "host/data/importer.h"
#include "host/data/list_cell.h"
#include "host/data/row_filter.h"
#include "host/data/split.h"
#include "host/data/tables.h"
#include "host/output_file.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// The header of the interactions that save_recbole() writes.
constexpr const char* kWrittenInteractions = "user_id:token\titem_id:token\tposition:float";

const std::vector<std::string> kEndings = with_gzip({".inter"});
const std::vector<std::string> kPartEndings = with_gzip({".train.inter", ".valid.inter", ".test.inter"});
constexpr std::array kTypes{"token", "token_seq", "float", "float_seq"};
constexpr std::array kTimes{"timestamp", "position"};
constexpr std::array kTitles{"title", "movie_title", "item_name", "name"};
struct LabelledColumn {
  const char* name;
  AttributeKind kind;
};
constexpr LabelledColumn kAttributes[] = {
    {"brand", AttributeKind::brand},          {"categories", AttributeKind::category},
    {"category", AttributeKind::category},    {"class", AttributeKind::category},
    {"genre", AttributeKind::category},       {"genres", AttributeKind::category},
    {"attributes", AttributeKind::unlabelled}};

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
      const std::string name(cell.substr(0, colon));
      if (find(std::array{name}) >= 0) reader_.fail(fmt::format("the header has '{}' twice; keep one", name));
      columns_.push_back({name, std::string(type)});
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
  /// Names of the columns that are none of `used`.
  std::vector<std::string> others(std::span<const std::size_t> used) const {
    std::vector<std::string> names;
    for (std::size_t k = 0; k < columns_.size(); ++k) {
      if (std::ranges::find(used, k) == used.end()) names.push_back(columns_[k].name);
    }
    return names;
  }
  const LineReader& reader() const { return reader_; }

 private:
  LineReader reader_;
  std::vector<Column> columns_;
  std::vector<std::string_view> fields_;
};

/// Adds the rows of one file. Without a time, where that is allowed, they keep their order.
void read_interactions(AtomicTable& table, Part part, bool needs_time, const std::string& keep,
                       InteractionTable& interactions, std::vector<std::string>& notes) {
  std::vector<std::size_t> used{table.require_column(std::array{"user_id"}),
                                table.require_column(std::array{"item_id"})};
  const std::size_t user = used[0], item = used[1];
  const int time = needs_time ? static_cast<int>(table.require_column(kTimes)) : table.find(kTimes);
  if (time >= 0) used.push_back(static_cast<std::size_t>(time));
  const std::vector<std::string> others = table.others(used);
  RowFilter filter(table.reader().path(), keep, others);
  std::vector<std::size_t> place;  // of the others
  for (const std::string& name : others)
    place.push_back(static_cast<std::size_t>(table.find(std::array{name})));
  while (table.next()) {
    if (!filter.keeps(table.reader(), [&](std::size_t other) { return table[place[other]]; })) continue;
    std::optional<Time> when;
    if (time >= 0) {
      const auto column = static_cast<std::size_t>(time);
      when = table.reader().time(table[column], table.columns()[column].name);
    }
    interactions.add(table.reader(), table[user], table[item], when, part);
  }
  filter.report(notes);
}

void read_items(const std::string& path, Dataset& data, const ImportOptions& options) {
  AtomicTable table(path);
  const std::size_t item = table.require_column(std::array{"item_id"});
  const int title = table.find(kTitles);
  std::vector<std::size_t> used{item};
  if (title >= 0) used.push_back(static_cast<std::size_t>(title));
  std::vector<std::pair<std::size_t, AttributeKind>> attribute_columns;
  for (const LabelledColumn& labelled : kAttributes) {
    const int column = table.find(std::array{labelled.name});
    if (column < 0) continue;
    used.push_back(static_cast<std::size_t>(column));
    attribute_columns.emplace_back(column, labelled.kind);
  }
  if (const auto unused = table.others(used); !unused.empty()) {
    data.notes.push_back(fmt::format("note: {}: not used: {}", path, fmt::join(unused, ", ")));
  }
  ItemTable items(data, options);
  std::vector<std::vector<std::string>> values(attribute_columns.size());
  std::vector<Attribute> attributes;
  while (table.next()) {
    attributes.clear();
    for (std::size_t k = 0; k < attribute_columns.size(); ++k) {
      const auto& [column, kind] = attribute_columns[k];
      // An item has one brand, so blanks do not separate brands whatever the type.
      const bool words = table.columns()[column].type == "token_seq" && kind != AttributeKind::brand;
      values[k] = split_list(table[column], words);
      for (const std::string& value : values[k]) attributes.push_back({value, kind});
    }
    items.add(table.reader(), table[item], title < 0 ? "" : table[static_cast<std::size_t>(title)],
              attributes);
  }
  items.finish(table.reader());
}

/// Nothing of a user file is used yet, but a broken one points to a broken copy of the data.
void check_users(const std::string& path, Dataset& data, const ImportOptions& options) {
  AtomicTable table(path);
  const std::size_t user = table.require_column(std::array{"user_id"});
  TokenMap seen;
  std::vector<std::int64_t> lines{0};
  std::int64_t repeated = 0, described = 0;
  std::string first_repeated;
  while (table.next()) {
    const Id id = seen.add(table[user]);
    if (id == 0) table.reader().fail("the user id is empty; correct or delete the line");
    if (id < static_cast<Id>(lines.size())) {
      if (repeated++ == 0) {
        first_repeated = fmt::format("{}:{}: user '{}' is described in line {} already", path,
                                     table.reader().line_number(), table[user], lines[id]);
      }
      continue;
    }
    lines.push_back(table.reader().line_number());
    if (data.users.find(table[user]) != 0) ++described;
  }
  if (repeated > 0) {
    if (options.duplicates == Duplicates::error) {
      throw Error(fmt::format("{}; {} in all: set data.duplicates to first or last, or delete such lines",
                              first_repeated, repeated));
    }
    data.notes.push_back(fmt::format("note: {}: {} lines describe a user again", path, repeated));
  }
  note_described(data, path, "users", described, data.users.count(), seen.count(), seen.count() - described);
}

bool recognises(std::string_view file_name, std::string_view) {
  return std::ranges::any_of(kEndings,
                             [&](const std::string& ending) { return file_name.ends_with(ending); });
}

/// NAME of NAME.inter and of NAME.train.inter.
std::string data_name(const std::string& path) {
  return base_name(part_of(path) ? part_of(path)->prefix : path, kEndings);
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  const bool given = files.size() > 1 && options.split != SplitSource::leave_one_out;
  InteractionTable interactions;
  std::vector<std::string> notes;
  std::unique_ptr<AtomicTable> table;
  for (const std::string& file : files) {
    table = std::make_unique<AtomicTable>(file);
    const auto part = part_of(file);
    read_interactions(*table, files.size() > 1 && part ? part->part : Part::train, !given, options.keep,
                      interactions, notes);
    if (files.size() == 1 && part) {
      notes.push_back(
          fmt::format("note: {}: this is one part of a data set that came split, and is read by itself; {} "
                      "names the whole",
                      file, part->prefix));
    }
  }
  const std::string name = data_name(files.front());
  Dataset data = interactions.build(table->reader(), name, options.duplicates, given);
  data.notes.insert(data.notes.begin(), notes.begin(), notes.end());
  const std::string item_path =
      !options.items.empty() ? options.items : find_beside(files.front(), with_gzip({name + ".item"}));
  if (!item_path.empty()) read_items(item_path, data, options);
  const std::string user_path = find_beside(files.front(), with_gzip({name + ".user"}));
  if (!user_path.empty()) check_users(user_path, data, options);
  return data;
}

/// The cell of an item's attributes of one kind.
std::string attribute_cell(const Dataset& data, Id item, AttributeKind kind) {
  std::vector<std::string_view> values;
  const auto begin = static_cast<std::size_t>(data.attribute_offsets[item]),
             end = static_cast<std::size_t>(data.attribute_offsets[item + 1]);
  for (std::size_t k = begin; k < end; ++k) {
    if (data.kind_of(k) == kind) values.push_back(data.attributes.token(data.item_attributes[k]));
  }
  return join_list(values, kind != AttributeKind::brand);
}

/// Where save_recbole() puts the interactions: one file, or the parts of a `given` split in the order of
/// Part.
std::vector<std::string> interaction_files(bool given, const std::string& prefix) {
  if (!given) return {prefix + ".inter"};
  std::vector<std::string> files;
  for (const char* part : kPartNames) files.push_back(fmt::format("{}.{}.inter", prefix, part));
  return files;
}

std::string items_header(std::span<const AttributeKind> kinds) {
  constexpr const char* kHeaders[] = {"brand:token", "categories:token_seq", "attributes:token_seq"};
  std::string header = "item_id:token\ttitle:token_seq";
  for (const AttributeKind kind : kinds) {
    header += '\t';
    header += kHeaders[static_cast<std::size_t>(kind)];
  }
  return header;
}

/// Begins the file as save_recbole() begins items, whichever attributes they have?
bool has_items_header(const std::string& path) {
  constexpr AttributeKind kAll[] = {AttributeKind::brand, AttributeKind::category, AttributeKind::unlabelled};
  for (unsigned subset = 0; subset < 1U << std::size(kAll); ++subset) {
    std::vector<AttributeKind> kinds;
    for (std::size_t k = 0; k < std::size(kAll); ++k) {
      if ((subset >> k & 1U) != 0) kinds.push_back(kAll[k]);
    }
    if (has_first_line(path, items_header(kinds))) return true;
  }
  return false;
}

void write_items(const Dataset& data, std::ostream& out) {
  std::vector<AttributeKind> kinds;
  for (const AttributeKind kind :
       {AttributeKind::brand, AttributeKind::category, AttributeKind::unlabelled}) {
    const bool unlabelled = kind == AttributeKind::unlabelled;
    if (data.attribute_kinds.empty() ? unlabelled : std::ranges::count(data.attribute_kinds, kind) > 0) {
      kinds.push_back(kind);
    }
  }
  out << items_header(kinds) << '\n';
  for (Id item = 1; item < data.items.rows(); ++item) {
    out << data.items.token(item) << '\t' << data.titles[item];
    for (const AttributeKind kind : kinds) out << '\t' << attribute_cell(data, item, kind);
    out << '\n';
  }
}

}  // namespace

Importer recbole_importer() {
  std::vector<std::string> endings = kEndings;
  endings.insert(endings.end(), kPartEndings.begin(), kPartEndings.end());
  return {"recbole", endings, recognises, load};
}

std::optional<PartFile> part_of(const std::string& file) {
  for (std::size_t part = 0; part < std::size(kPartNames); ++part) {
    for (const std::string& ending : with_gzip({fmt::format(".{}.inter", kPartNames[part])})) {
      if (file.ends_with(ending)) {
        return PartFile{file.substr(0, file.size() - ending.size()), static_cast<Part>(part)};
      }
    }
  }
  return std::nullopt;
}

void check_recbole_output(const Dataset& data, const std::string& folder, bool force) {
  const std::string prefix = (std::filesystem::path(folder) / data.name).string();
  const bool given = !data.held_out.empty();
  const auto is_ours = [](const std::string& path) { return has_first_line(path, kWrittenInteractions); };
  // Anybody may begin an item file with our header; ours has interactions with ours beside it.
  const auto are_our_items = [&](const std::string& path) {
    return has_items_header(path) && (std::ranges::any_of(interaction_files(false, prefix), is_ours) ||
                                      std::ranges::any_of(interaction_files(true, prefix), is_ours));
  };
  check_output(prefix + ".item", data.files, are_our_items, force);
  for (const std::string& file : interaction_files(given, prefix))
    check_output(file, data.files, is_ours, force);
  if (force) return;
  for (const std::string& file : with_gzip(interaction_files(!given, prefix))) {
    require(
        !std::filesystem::exists(file),
        fmt::format("'{}' holds '{}' {} a split, and of the two forms one is read: remove it, name another "
                    "folder for the output, or give --force",
                    file, data.name, given ? "without" : "with"));
  }
}

void save_recbole(const Dataset& data, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, fmt::format("{}: cannot be created ({}); name a folder that can be written", folder,
                              error.message()));
  const std::string prefix = (std::filesystem::path(folder) / data.name).string();

  AtomicFile items(prefix + ".item");
  write_items(data, items.stream());

  const bool given = !data.held_out.empty();
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (const std::string& file : interaction_files(given, prefix)) {
    files.push_back(std::make_unique<AtomicFile>(file));
    files.back()->stream() << kWrittenInteractions << '\n';
  }
  const Split split = leave_one_out(data);
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto history = data.user_history(user);
    for (std::size_t k = 0; k < history.size(); ++k) {
      Part part = Part::train;
      if (given && k >= split.train_items(user).size()) {
        part = k + 1 == history.size() && split.test[user] != 0 ? Part::test : Part::valid;
      }
      files[static_cast<std::size_t>(part)]->stream()
          << data.users.token(user) << '\t' << data.items.token(history[k]) << '\t' << k << '\n';
    }
  }
  items.commit();
  for (const auto& file : files) file->commit();
}

}  // namespace sllmr
