// RecBole atomic files: NAME.inter, or NAME.train.inter, NAME.valid.inter and NAME.test.inter, and where they
// exist NAME.item and NAME.user. Tab-separated; the header names and types the columns, in any order; for
// lists (token_seq) see split_list(). Histories are ordered by `timestamp` or, without it, by `position`; the
// parts of a split need neither. RowFilter says which rows are positives; a row that a label says is none was
// shown beside the user's positives at its time. An item's text is its `title` (or
// `movie_title`, `item_name`, `name`); its brand is `brand`, its categories are `categories`, `category`,
// `class`, `genre` and `genres`; `attributes` are unlabelled. Other columns are noted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "host/data/date_range.h"
#include "host/data/import.h"
#include "host/data/import_recbole_table.h"
#include "host/data/importer.h"
#include "host/data/list_cell.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

const std::vector<std::string> kEndings = with_gzip({".inter"});
const std::vector<std::string> kPartEndings = with_gzip({".train.inter", ".valid.inter", ".test.inter"});
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

/// Adds the rows of one file. Without a time, where that is allowed, they keep their order.
void read_interactions(AtomicTable& table, Part part, bool needs_time, const ImportOptions& options,
                       InteractionTable& interactions, std::vector<std::string>& notes) {
  std::vector<std::size_t> used{table.require_column(std::array{"user_id"}),
                                table.require_column(std::array{"item_id"})};
  const std::size_t user = used[0], item = used[1];
  const int time = needs_time ? static_cast<int>(table.require_column(kTimes)) : table.find(kTimes);
  if (time >= 0) used.push_back(static_cast<std::size_t>(time));
  if (table.find(std::array{kTimes[0]}) < 0) refuse_dates(options, table.reader().path());
  const std::vector<std::string> others = table.others(used);
  RowFilter filter(table.reader().path(), options, others);
  if (time < 0) filter.forget_negatives();
  std::vector<std::size_t> columns;  // of the others
  for (const std::string& name : others)
    columns.push_back(static_cast<std::size_t>(table.find(std::array{name})));
  while (table.next()) {
    const LineReader& reader = table.reader();
    const auto verdict = filter.judge(reader, [&](std::size_t other) { return table[columns[other]]; });
    if (verdict == RowFilter::Verdict::left_out) continue;
    std::optional<Time> when;
    if (time >= 0) {
      const auto column = static_cast<std::size_t>(time);
      when = reader.time(table[column], table.columns()[column].name);
    }
    if (verdict == RowFilter::Verdict::counts)
      interactions.add(reader, table[user], table[item], when, part);
    else
      interactions.add_shown(interactions.user(reader, table[user]), interactions.item(reader, table[item]),
                             {.part = part, .first = *when, .last = *when});
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
  const bool given = files.size() > 1 && !joins_parts(options.split);
  InteractionTable interactions;
  std::vector<std::string> notes;
  std::unique_ptr<AtomicTable> table;
  for (const std::string& file : files) {
    table = std::make_unique<AtomicTable>(file);
    const auto part = part_of(file);
    read_interactions(*table, files.size() > 1 && part ? part->part : Part::train, !given, options,
                      interactions, notes);
    if (files.size() == 1 && part) {
      notes.push_back(note_of_part(file, *part));
    }
  }
  const std::string name = data_name(files.front());
  Dataset data = interactions.build(table->reader(), name, options, given);
  data.notes.insert(data.notes.begin(), notes.begin(), notes.end());
  add_items(data, files.front(), with_gzip({name + ".item"}), options, read_items);
  const std::string user_path = find_beside(files.front(), with_gzip({name + ".user"}));
  if (!user_path.empty()) check_users(user_path, data, options);
  return data;
}

}  // namespace

Importer recbole_importer() {
  std::vector<std::string> endings = kEndings;
  endings.insert(endings.end(), kPartEndings.begin(), kPartEndings.end());
  return {"recbole", endings, recognises, load};
}

}  // namespace sllmr
