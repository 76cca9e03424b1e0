// MIND, news and who read them: behaviors.tsv, without a header impression, user, time, history ("N1 N2") and
// impressions ("N3-1 N4-0"), and beside it news.tsv: id, category, subcategory, title, abstract, url and two
// columns of entities. A user's interactions are the history of the earliest row and then what was clicked
// (-1), in time order; news that were shown beside it and not clicked (-0) are its negatives. Categories and
// subcategories become categories.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "host/data/formatted_time.h"
#include "host/data/histories.h"
#include "host/data/importer.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"

namespace sllmr {
namespace {

constexpr std::string_view kName = "behaviors.tsv";
const std::string kTimeFormat = "%m/%d/%Y %I:%M:%S %p";  // 11/15/2019 8:55:22 AM

/// The rows of behaviors.tsv.
class Behaviors {
 public:
  explicit Behaviors(const std::string& path) : reader_(path) {}

  bool next() {
    std::string_view line;
    if (reader_.line_number() == 0)
      line = reader_.first();
    else if (!reader_.next(line))
      return false;
    reader_.split_exactly(line, "\t", 5, fields_);
    time_ = formatted_time(reader_, fields_[2], kTimeFormat, "correct the line");
    return true;
  }
  std::string_view user() const { return fields_[1]; }
  Time time() const { return time_; }
  /// Calls each(item) for what the user had clicked before.
  template <class Each>
  void history(const Each& each) {
    split(fields_[3], " ", items_);
    for (const std::string_view item : items_) {
      if (!item.empty()) each(item);
    }
  }
  /// Calls each(item, clicked) for what was shown.
  template <class Each>
  void impressions(const Each& each) {
    split(fields_[4], " ", items_);
    for (const std::string_view shown : items_) {
      if (shown.empty()) continue;  // a blank may end the cell
      if (!shown.ends_with("-1") && !shown.ends_with("-0")) {
        reader_.fail(
            fmt::format("impression '{}' ends neither in -1, clicked, nor in -0; correct the line (MIND's "
                        "test set says no clicks and cannot be read)",
                        shown));
      }
      each(shown.substr(0, shown.size() - 2), shown.back() == '1');
    }
  }
  const LineReader& reader() const { return reader_; }

 private:
  LineReader reader_;
  std::vector<std::string_view> fields_, items_;
  Time time_ = 0;
};

Dataset read_behaviors(const std::string& path, const ImportOptions& options) {
  const RowFilter filter(path, options, {});  // there is nothing to choose by
  InteractionTable table;
  FirstHistories histories;
  std::int64_t passed_over = 0;
  Behaviors rows(path);
  const LineReader& reader = rows.reader();
  while (rows.next()) {
    const std::int64_t place = table.place(reader);
    const Id user = table.user(reader, rows.user());
    if (histories.is_first(user, rows.time())) {
      std::vector<Id> items;
      rows.history([&](std::string_view item) { items.push_back(table.item(reader, item)); });
      histories.set(user, rows.time(), place, std::move(items));
    }
    rows.impressions([&](std::string_view item, bool clicked) {
      if (clicked)
        table.add(place, user, table.item(reader, item), rows.time());
      else if (options.negatives == Negatives::shown)
        table.add_shown(user, table.item(reader, item), {.first = rows.time(), .last = rows.time()});
      else
        ++passed_over;
    });
  }
  histories.add_to(table);
  Dataset data = table.build(reader, folder_name(path), options);
  if (passed_over > 0) {
    data.notes.push_back(
        fmt::format("note: {}: {} impressions were not clicked and are not used", path, passed_over));
  }
  return data;
}

void read_news(const std::string& path, Dataset& data, const ImportOptions& options) {
  LineReader reader(path);
  ItemTable items(data, options);
  std::vector<std::string_view> fields;
  std::string_view line = reader.first();
  do {
    reader.split_exactly(line, "\t", 8, fields);
    const Attribute categories[] = {{fields[1], AttributeKind::category},
                                    {fields[2], AttributeKind::category}};
    items.add(reader, fields[0], fields[3], categories);
  } while (reader.next(line));
  data.notes.push_back(fmt::format("note: {}: not used: abstract, url, entities", path));
  items.finish(reader);
}

bool recognises(std::string_view file_name, std::string_view first_line) {
  const bool named = file_name == kName || file_name == fmt::format("{}.gz", kName);
  return named && first_line.find('\t') != first_line.npos;
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  Dataset data = read_behaviors(files.front(), options);
  add_items(data, files.front(), with_gzip({"news.tsv"}), options, read_news);
  return data;
}

}  // namespace

Importer mind_importer() {
  return {"mind", with_gzip({".tsv"}), recognises, load};
}

}  // namespace sllmr
