// Any delimited or JSON-lines file, told what is what by a description, NAME.toml, whose first line is
// [interactions]:
//
//   [interactions]
//   file = "review.json"      beside the description, plain or .gz; several in an array follow each other
//   separator = "\t"          left out: a JSON object a line
//   columns = ["u", "i"]      of a delimited file without a header
//   user = "user_id"          names of columns or keys
//   item = "business_id"
//   time = "date"             left out: rows are in their order
//   time_format = "%Y-%m-%d"  as strptime(3), in UTC; left out: a number
//   label = "clk"             rows count where it is above 0, the others are negatives;
//                             left out: label, is_click or click
//   rating = "grade"          what data.min_rating looks at; left out: rating, overall, stars or score
//   history = "clicked"       a list: what the user took before; that of a user's first row counts
//   history_separator = "^"   left out: as it looks
//
//   [items]                   may be left out: file, separator, columns, item as above, and
//   title = "name"
//   brand = "maker"
//   categories = "kinds"      a list
//   list_separator = ", "     of its values; left out: as they look
//
// Without a file [items] are columns of the interactions. Every row counts unless data.keep says otherwise;
// negatives are those of what their user took at the same time or, without times, after a history as long.
// Further columns are not used.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "host/base/text_file.h"
#include "host/base/toml_table.h"
#include "host/data/date_range.h"
#include "host/data/described_rows.h"
#include "host/data/formatted_time.h"
#include "host/data/histories.h"
#include "host/data/importer.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

const std::vector<std::string> kEndings{".toml"};
constexpr std::string_view kFirstLine = "[interactions]";

const std::vector<std::string> kInteractionKeys{
    "file",        "separator", "columns",          "user", "item", "time", "label", "rating",
    "time_format", "history",   "history_separator"};
const std::vector<std::string> kItemKeys{"file",  "separator", "columns",    "item",
                                         "title", "brand",     "categories", "list_separator"};

/// The layouts of the files that a table of the description tells.
std::vector<FileLayout> layouts_of(const TomlTable& table, const std::string& description) {
  const std::filesystem::path folder = std::filesystem::path(description).parent_path();
  std::vector<FileLayout> layouts;
  for (const std::string& name : table.texts("file")) {
    const std::filesystem::path file = name;
    layouts.push_back({(file.is_absolute() ? file : folder / file).string(), table.text_or("separator", ""),
                       table.list<std::string>("columns")});
  }
  require(!layouts.empty(), fmt::format("{}: the key 'file' is missing; add it", description));
  return layouts;
}

/// What [interactions] says of the columns; "" where it says nothing.
struct Roles {
  std::string user, item, time, time_format, history, history_separator;
  ColumnRoles chosen_by;
};

Roles roles_of(const TomlTable& table, const std::string& description, const ImportOptions& options,
               const std::vector<std::string>& used_by_items) {
  Roles roles{table.text("user"),
              table.text("item"),
              table.text_or("time", ""),
              table.text_or("time_format", ""),
              table.text_or("history", ""),
              table.text_or("history_separator", ""),
              {table.text_or("label", ""), table.text_or("rating", ""), used_by_items}};
  require(roles.time_format.empty() || !roles.time.empty(),
          description + ": there is a time_format, but no time");
  require(roles.history_separator.empty() || !roles.history.empty(),
          description + ": there is a history_separator, but no history");
  if (roles.time.empty()) refuse_dates(options, description);
  return roles;
}

/// Interactions of described files, one file after another.
class Reading {
 public:
  Reading(const Roles& roles, const ImportOptions& options) : roles_(roles), options_(options) {}

  void read(DescribedRows& rows) {
    const Columns columns = columns_of(rows);
    std::vector<std::string> others;
    std::vector<std::size_t> of_others;
    for (std::size_t k = 0; k < rows.columns().size(); ++k) {
      if (k == columns.user || k == columns.item || k == columns.time || k == columns.history) continue;
      others.push_back(rows.columns()[k]);
      of_others.push_back(k);
    }
    const LineReader& reader = rows.reader();
    RowFilter filter(reader.path(), options_, others, roles_.chosen_by);
    if (!columns.time && !columns.history) filter.forget_negatives();
    if (options_.keep == "auto" && roles_.chosen_by.label.empty()) rows.refuse_late_labels();
    while (rows.next()) {
      ++rows_;
      const auto verdict = filter.judge(reader, [&](std::size_t k) { return rows.text(of_others[k]); });
      if (verdict == RowFilter::Verdict::left_out && !columns.history) continue;
      const Moment moment = moment_of(rows, columns);
      const std::string_view by = rows.text(columns.user), what = rows.text(columns.item);
      if (!columns.history && verdict == RowFilter::Verdict::counts) {
        table_.add(reader, by, what, moment.time);
        continue;
      }
      const std::int64_t place = table_.place(reader);
      const Id user = table_.user(reader, by);
      if (columns.history && histories_.is_first(user, moment.beside.first)) {
        std::vector<Id> items;
        for (const std::string_view item : history_of(rows, columns))
          items.push_back(table_.item(reader, item));
        histories_.set(user, moment.beside.first, place, std::move(items));
      }
      if (verdict == RowFilter::Verdict::left_out) continue;
      const Id item = table_.item(reader, what);
      if (verdict == RowFilter::Verdict::counts)
        table_.add(place, user, item, moment.time);
      else
        table_.add_shown(user, item, moment.beside);
    }
    filter.report(notes_);
  }

  Dataset build(const LineReader& reader, std::string name) {
    histories_.add_to(table_);
    Dataset data = table_.build(reader, std::move(name), options_);
    data.notes.insert(data.notes.end(), notes_.begin(), notes_.end());
    return data;
  }

 private:
  struct Columns {
    std::size_t user, item;
    std::optional<std::size_t> time, history;
  };
  Columns columns_of(DescribedRows& rows) const {
    for (const std::string& told : {roles_.chosen_by.label, roles_.chosen_by.rating})
      optional_column(rows, told);  // an Error where it is not there
    return {rows.column(roles_.user), rows.column(roles_.item), optional_column(rows, roles_.time),
            optional_column(rows, roles_.history)};
  }
  static std::optional<std::size_t> optional_column(DescribedRows& rows, const std::string& name) {
    if (name.empty()) return std::nullopt;
    return rows.column(name);
  }

  std::span<const std::string_view> history_of(DescribedRows& rows, const Columns& columns) const {
    return rows.list(*columns.history, roles_.history_separator);
  }

  /// When a row is, and beside which others of its user.
  struct Moment {
    Time time;
    ShownBeside beside;
  };
  /// Rows without times are in the order of what was before them, and then in that of the files. What was
  /// before a user's first row comes right before `first`, where no row of a shorter history is.
  Moment moment_of(DescribedRows& rows, const Columns& columns) const {
    if (!columns.time) {
      const std::size_t before = columns.history ? history_of(rows, columns).size() : 0;
      constexpr Time kRows = Time{1} << 62;  // more than there are, and more than a history has
      const Time first = static_cast<Time>(before) * (4 * kRows) + kRows;
      return {first + rows_, {.first = first, .last = first + kRows, .only_one = true}};
    }
    const std::string_view text = rows.text(*columns.time);
    const Time time = roles_.time_format.empty() ? rows.reader().time(text, roles_.time)
                                                 : formatted_time(rows.reader(), text, roles_.time_format,
                                                                  "correct the line or time_format");
    return {time, {.first = time, .last = time}};
  }

  const Roles& roles_;
  const ImportOptions& options_;
  InteractionTable table_;
  std::int64_t rows_ = 0;  // of all files
  FirstHistories histories_;
  std::vector<std::string> notes_;
};

Dataset read_interactions(const std::vector<FileLayout>& files, const Roles& roles, std::string name,
                          const ImportOptions& options) {
  Reading reading(roles, options);
  std::unique_ptr<DescribedRows> rows;
  for (const FileLayout& file : files) {
    rows = std::make_unique<DescribedRows>(file);
    reading.read(*rows);
  }
  return reading.build(rows->reader(), std::move(name));
}

/// What [items] says of the columns.
struct ItemRoles {
  std::string item, title, brand, categories, list_separator;
};

/// `repeats`: items have a line an interaction.
void read_items(const std::vector<FileLayout>& files, const ItemRoles& roles, bool repeats, Dataset& data,
                const ImportOptions& options) {
  ItemTable items(data, options, repeats);
  std::unique_ptr<DescribedRows> rows;
  for (const FileLayout& file : files) {
    rows = std::make_unique<DescribedRows>(file);
    const std::size_t item = rows->column(roles.item);
    const auto optional = [&](const std::string& name) {
      return name.empty() ? std::nullopt : std::optional(rows->column(name));
    };
    const auto title = optional(roles.title), brand = optional(roles.brand),
               categories = optional(roles.categories);
    std::vector<Attribute> attributes;
    while (rows->next()) {
      attributes.clear();
      if (brand) attributes.push_back({rows->text(*brand), AttributeKind::brand});
      if (categories) {
        for (const std::string_view each : rows->list(*categories, roles.list_separator))
          attributes.push_back({each, AttributeKind::category});
      }
      items.add(rows->reader(), rows->text(item), title ? rows->text(*title) : "", attributes);
    }
  }
  items.finish(rows->reader());
}

bool recognises(std::string_view file_name, std::string_view first_line) {
  return file_name.ends_with(kEndings[0]) && first_line.starts_with(kFirstLine);
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  const std::string& path = files.front();
  const TomlTable description(read_text_file(path, "description"), path, {"interactions", "items"});
  const auto interactions = description.table("interactions", kInteractionKeys);
  require(interactions.has_value(), path + ": there is no [interactions]; see docs/importer.md");
  const auto items = description.table("items", kItemKeys);
  require(options.items.empty(), path + ": the item file is told by [items] here; leave data.items out");
  const std::vector<FileLayout> interaction_files = layouts_of(*interactions, path);
  const bool in_rows = items && items->texts("file").empty();
  ItemRoles item_roles;
  std::vector<std::string> used;
  if (items) {
    item_roles = {items->text("item"), items->text_or("title", ""), items->text_or("brand", ""),
                  items->text_or("categories", ""), items->text_or("list_separator", "")};
    require(
        !in_rows || (items->text_or("separator", "").empty() && items->list<std::string>("columns").empty()),
        path + ": [items] tells a layout, but no file; add it, or leave the layout out");
  }
  if (in_rows) used = {item_roles.title, item_roles.brand, item_roles.categories};
  Dataset data = read_interactions(interaction_files, roles_of(*interactions, path, options, used),
                                   base_name(path, kEndings), options);
  if (items) {
    read_items(in_rows ? interaction_files : layouts_of(*items, path), item_roles, in_rows, data, options);
  }
  return data;
}

}  // namespace

Importer described_importer() {
  return {"described", kEndings, recognises, load};
}

}  // namespace sllmr
