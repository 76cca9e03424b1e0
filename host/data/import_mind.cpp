// MIND, news and who read them: behaviors.tsv, without a header impression, user, time, history ("N1 N2") and
// impressions ("N3-1 N4-0"), and beside it news.tsv: id, category, subcategory, title, abstract, url and two
// columns of entities. A user's interactions are the history of the earliest row and then what was clicked
// (-1), in time order. News that were shown and not clicked (-0) are not used. Categories and subcategories
// become categories.
#include <fmt/format.h>

#include <algorithm>

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
  std::vector<std::string> history() const {
    std::vector<std::string_view> items;
    split(fields_[3], " ", items);
    std::erase(items, "");
    return {items.begin(), items.end()};
  }
  /// Calls clicked(item) for what was clicked, and returns how many impressions were not.
  template <class Clicked>
  std::int64_t impressions(const Clicked& clicked) {
    std::int64_t passed_over = 0;
    split(fields_[4], " ", shown_);
    for (const std::string_view shown : shown_) {
      if (shown.empty()) continue;  // a blank may end the cell
      if (!shown.ends_with("-1") && !shown.ends_with("-0")) {
        reader_.fail(
            fmt::format("impression '{}' ends neither in -1, clicked, nor in -0; correct the line (MIND's "
                        "test set says no clicks and cannot be read)",
                        shown));
      }
      if (shown.back() == '1')
        clicked(shown.substr(0, shown.size() - 2));
      else
        ++passed_over;
    }
    return passed_over;
  }
  const LineReader& reader() const { return reader_; }

 private:
  LineReader reader_;
  std::vector<std::string_view> fields_, shown_;
  Time time_ = 0;
};

Dataset read_behaviors(const std::string& path, const ImportOptions& options) {
  const RowFilter filter(path, options, {});  // there is nothing to choose by
  EarliestRows earliest;
  for (Behaviors rows(path); rows.next();)
    earliest.look_at(rows.user(), rows.time(), rows.reader().line_number());
  InteractionTable interactions;
  std::int64_t passed_over = 0;
  Behaviors rows(path);
  while (rows.next()) {
    if (earliest.contain(rows.user(), rows.reader().line_number()))
      add_history(interactions, rows.reader(), rows.user(), rows.history(), rows.time());
    passed_over += rows.impressions(
        [&](std::string_view item) { interactions.add(rows.reader(), rows.user(), item, rows.time()); });
  }
  Dataset data = interactions.build(rows.reader(), folder_name(path), options);
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
