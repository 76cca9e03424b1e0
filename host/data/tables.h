// What importers fill: interactions and items in the order of the files, turned into a Dataset.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/line_reader.h"
#include "host/data/dataset.h"
#include "host/data/importer.h"
#include "host/data/interaction_filters.h"
#include "host/data/shown_items.h"

namespace sllmr {

/// The interactions of one file, or of the parts of data that came split.
class InteractionTable {
 public:
  /// Adds an interaction that stands in the current line of `reader`. Any unit of `time` will do. Files are
  /// read one after another, those of each part together; all rows of a part have a time or none.
  void add(const LineReader& reader, std::string_view user, std::string_view item, std::optional<Time> time,
           Part part = Part::train);

  /// The same for whoever looks at a row before it is known whether, and where, it counts: ids of a user and
  /// an item in the current line, and the place of the line among those of all files.
  Id user(const LineReader& reader, std::string_view token);
  Id item(const LineReader& reader, std::string_view token);
  std::int64_t place(const LineReader& reader);
  void add(std::int64_t place, Id user, Id item, std::optional<Time> time, Part part = Part::train);
  /// `user` was shown `item` and did not take it.
  void add_shown(Id user, Id item, const ShownBeside& beside) { shown_.add(user, item, beside); }

  /// Histories by time, equal times in file order; no texts. Where the split is `given`, training items come
  /// before the validation and the test item, whatever their times. Empties the table. The same user, item
  /// and time twice are treated as `options` say and noted (the same user and item at different times are
  /// legal); rows without times are the same where user and item are. Then filter_interactions() does what
  /// `options` say; what is left is as if the file had nothing else. What was shown becomes
  /// Dataset::negatives, and items that only were shown are items behind the others. Throws Error when there
  /// are no interactions, when duplicates are errors, and for a given split when a user has two validation or
  /// test items, or an interaction is in two parts.
  Dataset build(const LineReader& reader, std::string name, const ImportOptions& options, bool given = false);

 private:
  struct File {
    std::string path;
    std::int64_t lines_before;  // of the files before it
  };

  /// A row whose tokens are looked up together with those of others.
  struct Waiting {
    std::size_t user, item, end;  // where they begin in waiting_text_, and where they end
    std::uint32_t user_hash, item_hash;
    std::int64_t place;
    std::optional<Time> time;
    Part part;
  };

  void add_waiting();
  /// Adds the token of a user or an item (`what`) in the line at `place`, which must be fit for a field of a
  /// text file.
  Id add_token(std::int64_t place, TokenMap& vocabulary, std::string_view token, std::uint32_t hash,
               const char* what) const;
  [[noreturn]] void fail(std::int64_t place, std::string_view message) const;
  const File& file_of(std::int64_t line) const;
  std::string where(const InteractionRow& row) const;
  bool is_timed(const InteractionRow& row) const { return timed_[static_cast<std::size_t>(row.part())]; }
  void sort_by_user_and_time(bool given);
  void count_rows();
  void treat_duplicates(Dataset& data, Duplicates duplicates, bool given);
  bool number_users();
  void assign_shown(Dataset& data, bool core);
  std::vector<HeldOut> held_out() const;

  TokenMap users_, items_;
  std::vector<Waiting> waiting_;
  std::string waiting_text_;
  std::vector<InteractionRow> rows_;
  std::vector<std::int64_t> first_row_;  // by user, of the sorted rows
  ShownItems shown_;
  std::vector<File> files_;
  std::int64_t last_place_ = 0;
  std::array<bool, 3> timed_{};  // by part: whether its rows have times
};

/// An attribute of an item as a file has it.
struct Attribute {
  std::string_view value;
  AttributeKind kind = AttributeKind::unlabelled;
};

/// Titles and attributes of the items of a data set, in the order of an item file.
class ItemTable {
 public:
  /// Where an item may have several lines (`repeats`), only those count as repeated that describe it
  /// otherwise.
  ItemTable(Dataset& data, const ImportOptions& options, bool repeats = false);

  /// Adds an item that stands in the current line of `reader`; items without interactions are counted only.
  /// White space in the title shrinks to single blanks and that of an attribute to underscores; text that is
  /// not UTF-8 is taken for Latin-1; repeated and empty attributes are dropped, and brands put first.
  void add(const LineReader& reader, std::string_view item, std::string_view title,
           std::span<const Attribute> attributes);
  /// Writes titles, attributes and their vocabulary into the data set, and notes of what does not fit. Throws
  /// Error where require_described() does, and where an item is described twice and duplicates are errors.
  void finish(const LineReader& reader);

 private:
  struct Entry {
    std::int64_t line = 0;  // 0: not seen
    std::string raw;        // title and attributes as the file has them, where items may be repeated
    std::string title;
    std::vector<std::pair<AttributeKind, Id>> attributes;
  };

  void note_repeated(const LineReader& reader) const;

  Dataset& data_;
  const ImportOptions& options_;
  bool repeats_;
  TokenMap attributes_;         // ids in file order
  std::vector<Entry> entries_;  // by item
  std::int64_t lines_ = 0, unknown_ = 0, repeated_ = 0, contradicting_ = 0;
  std::string first_repeated_;  // for an error
  std::string raw_;             // of the line at hand
};

/// Throws Error where a smaller share of the items than `min_described` has a title or attributes; `path` is
/// the item file, or the interactions where there is none.
void require_described(const Dataset& data, double min_described, const std::string& path);

/// Notes a file of users or items (`what`) that describes few of the `known` ones.
void note_described(Dataset& data, const std::string& path, std::string_view what, std::int64_t described,
                    std::int64_t known, std::int64_t lines, std::int64_t unknown);

}  // namespace sllmr
