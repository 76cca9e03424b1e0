// KuaiRec: big_matrix.csv and small_matrix.csv, user_id, video_id, play_duration, video_duration, time, date,
// timestamp, watch_ratio. Every row counts, whatever its watch_ratio, unless data.min_rating (a rating is the
// watch_ratio here) or data.keep says otherwise; rows without a timestamp have no place in a history and are
// left out. Items: item_categories.csv, video_id and a list such as "[27, 9]", or, where data.items names it,
// kuairec_caption_category.csv, with captions and the names of three levels of categories.
#include <fmt/format.h>

#include <algorithm>

#include "host/data/csv.h"
#include "host/data/importer.h"
#include "host/data/list_cell.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"

namespace sllmr {
namespace {

const std::vector<std::string> kEndings = with_gzip({".csv"});
constexpr std::string_view kHeader =
    "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio";
constexpr std::string_view kCategoriesHeader = "video_id,feat";
constexpr std::string_view kCaptionsHeader =
    "video_id,manual_cover_text,caption,topic_tag,first_level_category_id,first_level_category_name,"
    "second_level_category_id,second_level_category_name,third_level_category_id,third_level_category_name";

Dataset read_matrix(const std::string& path, const ImportOptions& options) {
  LineReader reader(path);
  std::string_view line = reader.first();
  if (line != kHeader) reader.fail(fmt::format("the header is not '{}'; correct it", kHeader));
  const std::vector<std::string> columns{"play_duration", "video_duration", "watch_ratio"};
  constexpr std::size_t kFields[] = {2, 3, 7};
  constexpr double kWatchedTwice = 2;
  RowFilter filter(path, options, columns, {"", "watch_ratio", {}, kWatchedTwice});
  InteractionTable interactions;
  std::int64_t undated = 0;
  for (std::vector<std::string_view> fields; reader.next(line);) {
    reader.split_exactly(line, ",", 8, fields);
    if (!filter.keeps(reader, [&](std::size_t column) { return fields[kFields[column]]; })) continue;
    if (fields[6].empty()) {
      ++undated;
      continue;
    }
    interactions.add(reader, fields[0], fields[1], reader.time(fields[6], "timestamp"));
  }
  Dataset data = interactions.build(reader, base_name(path, kEndings), options);
  filter.report(data.notes);
  if (undated > 0) {
    data.notes.push_back(
        fmt::format("note: {}: {} rows that would count have no timestamp and are left out", path, undated));
  }
  return data;
}

/// Records of a file, whose quoted cells may hold line ends.
class Records {
 public:
  explicit Records(LineReader& reader) : reader_(reader) {}

  /// The fields of the next one, until the next call; null at the end of the file.
  const std::vector<std::string_view>* next() {
    std::string_view line;
    if (!reader_.next(line)) return nullptr;
    record_ = line;
    while (!split_csv(record_, ',', unquoted_, fields_)) {
      if (!reader_.next(line)) reader_.fail("a quotation mark is not closed; correct the line");
      record_ += ' ';
      record_ += line;
    }
    return &fields_;
  }

 private:
  LineReader& reader_;
  std::string record_, unquoted_;
  std::vector<std::string_view> fields_;
};

void read_categories(LineReader& reader, ItemTable& items) {
  std::vector<Attribute> attributes;
  Records records(reader);
  while (const auto* record = records.next()) {
    const auto& fields = *record;
    reader.check_fields(fields.size(), 2);
    if (!fields[1].starts_with('[') || !fields[1].ends_with(']'))
      reader.fail(fmt::format("feat is '{}', no list such as [27, 9]; correct the line", fields[1]));
    const std::vector<std::string> names = split_list(fields[1], false);
    attributes.clear();
    for (const std::string& name : names) attributes.push_back({name, AttributeKind::category});
    items.add(reader, fields[0], "", attributes);
  }
}

void read_captions(LineReader& reader, ItemTable& items) {
  constexpr std::string_view kNone = "UNKNOWN";
  std::vector<Attribute> attributes;
  Records records(reader);
  while (const auto* record = records.next()) {
    const auto& fields = *record;
    reader.check_fields(fields.size(), 10);
    attributes.clear();
    for (const std::size_t level : {5, 7, 9}) {
      if (fields[level] != kNone) attributes.push_back({fields[level], AttributeKind::category});
    }
    const std::string_view title = fields[2].empty() ? fields[1] : fields[2];
    items.add(reader, fields[0], title == kNone ? "" : title, attributes);
  }
}

void read_items(const std::string& path, Dataset& data, const ImportOptions& options) {
  LineReader reader(path);
  ItemTable items(data, options);
  const std::string_view header = reader.first();
  if (header == kCategoriesHeader)
    read_categories(reader, items);
  else if (header == kCaptionsHeader)
    read_captions(reader, items);
  else
    reader.fail(
        fmt::format("the header is neither '{}' nor '{}'; correct it", kCategoriesHeader, kCaptionsHeader));
  items.finish(reader);
}

bool recognises(std::string_view, std::string_view first_line) {
  return first_line == kHeader;
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  Dataset data = read_matrix(files.front(), options);
  add_items(data, files.front(), with_gzip({"item_categories.csv"}), options, read_items);
  return data;
}

}  // namespace

Importer kuairec_importer() {
  return {"kuairec", kEndings, recognises, load};
}

}  // namespace sllmr
