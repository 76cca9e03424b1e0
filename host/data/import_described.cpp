// Any delimited or JSON-lines file, told what is what by a description, NAME.toml, whose first line is
// [interactions]:
//
//   [interactions]
//   file = "review.json"          # beside the description; plain or .gz
//   separator = "\t"              # left out: a JSON object a line
//   columns = ["user", "item"]    # of a delimited file without a header
//   user = "user_id"              # names of columns or keys
//   item = "business_id"
//   time = "date"                 # left out: rows are in their order
//   time_format = "%Y-%m-%d"      # as strptime(3), in UTC; left out: a number
//
//   [items]                       # may be left out: file, separator, columns, item as above, and
//   title = "name"
//   brand = "maker"
//   categories = "categories"     # a list
//   list_separator = ", "         # of its values; left out: as they look
//
// Every row counts unless data.keep says otherwise. Further columns are not used.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>
#include <utility>

#include "host/base/text_file.h"
#include "host/base/toml_table.h"
#include "host/data/date_range.h"
#include "host/data/described_rows.h"
#include "host/data/importer.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

const std::vector<std::string> kEndings{".toml"};
constexpr std::string_view kFirstLine = "[interactions]";

/// The layout that a table of the description tells.
FileLayout layout_of(const TomlTable& table, const std::string& description) {
  const std::filesystem::path file = table.text("file"),
                              folder = std::filesystem::path(description).parent_path();
  return {(file.is_absolute() ? file : folder / file).string(), table.text_or("separator", ""),
          table.list<std::string>("columns")};
}

/// A time in seconds since 1970, written as `format` says.
Time formatted_time(const LineReader& reader, std::string_view text, const std::string& format) {
  std::tm parts{};
  const std::string cell(text);
  const char* end = ::strptime(cell.c_str(), format.c_str(), &parts);
  if (end == nullptr || *end != '\0')
    reader.fail(
        fmt::format("'{}' is no time as '{}' writes it; correct the line or time_format", cell, format));
  return reader.time(std::to_string(::timegm(&parts)), "time");
}

Dataset read_interactions(const TomlTable& table, const std::string& description,
                          const ImportOptions& options) {
  // What the description lacks is told before the file is opened.
  const std::string user_name = table.text("user"), item_name = table.text("item"),
                    time_name = table.text_or("time", ""), format = table.text_or("time_format", "");
  require(format.empty() || !time_name.empty(), description + ": there is a time_format, but no time");
  if (time_name.empty()) refuse_dates(options, description);
  DescribedRows rows(layout_of(table, description));
  const std::size_t user = rows.column(user_name), item = rows.column(item_name);
  const std::size_t time = time_name.empty() ? 0 : rows.column(time_name);
  std::vector<std::string> others;
  std::vector<std::size_t> columns;
  const auto is_used = [&](std::size_t k) {
    return k == user || k == item || (!time_name.empty() && k == time);
  };
  for (std::size_t k = 0; k < rows.columns().size(); ++k) {
    if (is_used(k)) continue;
    others.push_back(rows.columns()[k]);
    columns.push_back(k);
  }
  RowFilter filter(rows.reader().path(), options, others);
  InteractionTable interactions;
  std::int64_t row = 0;
  while (rows.next()) {
    ++row;
    if (!filter.keeps(rows.reader(), [&](std::size_t k) { return rows.text(columns[k]); })) continue;
    Time when = static_cast<Time>(row);
    if (!time_name.empty()) {
      const std::string_view text = rows.text(time);
      when =
          format.empty() ? rows.reader().time(text, time_name) : formatted_time(rows.reader(), text, format);
    }
    interactions.add(rows.reader(), rows.text(user), rows.text(item), when);
  }
  Dataset data = interactions.build(rows.reader(), base_name(description, kEndings), options);
  filter.report(data.notes);
  return data;
}

void read_items(const TomlTable& table, const std::string& description, Dataset& data,
                const ImportOptions& options) {
  DescribedRows rows(layout_of(table, description));
  const std::string separator = table.text_or("list_separator", "");
  const std::size_t item = rows.column(table.text("item"));
  const auto optional = [&](const char* key) -> std::optional<std::size_t> {
    const std::string name = table.text_or(key, "");
    if (name.empty()) return std::nullopt;
    return rows.column(name);
  };
  const auto title = optional("title"), brand = optional("brand"), categories = optional("categories");
  ItemTable items(data, options);
  while (rows.next()) {
    const std::string token(rows.text(item));
    const std::string name = title ? std::string(rows.text(*title)) : "",
                      maker = brand ? std::string(rows.text(*brand)) : "";
    std::vector<std::string> kinds;
    if (categories) kinds = rows.list(*categories, separator);
    std::vector<Attribute> attributes;
    if (!maker.empty()) attributes.push_back({maker, AttributeKind::brand});
    for (const std::string& kind : kinds) attributes.push_back({kind, AttributeKind::category});
    items.add(rows.reader(), token, name, attributes);
  }
  items.finish(rows.reader());
}

bool recognises(std::string_view file_name, std::string_view first_line) {
  return file_name.ends_with(kEndings[0]) && first_line.starts_with(kFirstLine);
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  const std::string& path = files.front();
  const TomlTable description(read_text_file(path, "description"), path, {"interactions", "items"});
  const auto interactions = description.table(
      "interactions", {"file", "separator", "columns", "user", "item", "time", "time_format"});
  require(interactions.has_value(), path + ": there is no [interactions]; see docs/importer.md");
  const auto items = description.table(
      "items", {"file", "separator", "columns", "item", "title", "brand", "categories", "list_separator"});
  require(options.items.empty(), path + ": the item file is told by [items] here; leave data.items out");
  Dataset data = read_interactions(*interactions, path, options);
  if (items) read_items(*items, path, data, options);
  return data;
}

}  // namespace

Importer described_importer() {
  return {"described", kEndings, recognises, load};
}

}  // namespace sllmr
