// Which rows of an interaction file are positives.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/line_reader.h"
#include "host/data/import.h"
#include "host/data/json_object.h"

namespace sllmr {

/// The finite number in `field`, which blanks may surround and a plus begin; 1 for true and 0 for false.
/// Nothing for other text.
std::optional<double> filter_value(std::string_view field);

/// Whether `column` is one that data.keep=auto takes to label rows as positive and negative.
bool is_label(std::string_view column);

/// Labels that the first line of a file of JSON lacks: as it says which columns there are, no later line may
/// have them.
class AbsentLabels {
 public:
  /// `columns`: those of the first line, which `object` holds.
  AbsentLabels(std::span<const std::string> columns, JsonObject& object);
  /// Throws Error where the current line of `reader`, which `object` holds, has one.
  void check(const LineReader& reader, const JsonObject& object) const;

 private:
  std::vector<std::pair<std::string_view, std::size_t>> labels_;  // and their columns
};

/// What the columns of a file are, where somebody has told.
struct ColumnRoles {
  std::string label, rating;      // "": as their names say
  std::vector<std::string> used;  // by the importer
  double good_rating = 4;         // an example, for whoever is told that all ratings count
};

/// Decides by a file's other columns which of its rows count as interactions, and says what it does.
///
/// data.keep is "auto", "all" or conditions that all must hold, as in "rating >= 4, is_click > 0". With auto
/// a column that labels rows as positive and negative (the first of label, is_click, click) must be above 0,
/// and the rating (the first of rating, overall, stars, score) at least data.min_rating, where that is set.
class RowFilter {
 public:
  struct Condition {
    std::size_t column;
    std::string name;
    std::string comparison;  // >=, >, <=, <, ==, !=
    double value;
    const char* remedy = "set data.keep=all";  // where the column holds no numbers
    bool is_label = false;                     // rows for which it does not hold are negatives
  };
  enum class Verdict { counts, negative, left_out };

  /// For a file with these `columns`, without those that name user, item and time. Throws Error where
  /// data.keep is none of the above or names another column, and where data.min_rating is set beside it or
  /// finds no rating.
  RowFilter(const std::string& path, const ImportOptions& options, std::span<const std::string> columns,
            const ColumnRoles& roles = {});

  const std::vector<Condition>& conditions() const { return conditions_; }
  /// What the current line of `reader` is; a `negative` where a label of data.keep=auto says so, unless
  /// data.negatives=drawn. `field(column)` is what the line has in a column: a number, true or false, else
  /// Error.
  template <class Field>
  Verdict judge(const LineReader& reader, const Field& field) {
    ++rows_;
    for (const Condition& condition : conditions_) {
      if (holds(reader, condition, field(condition.column))) continue;
      const bool negative = shown_ && condition.is_label;
      ++(negative ? negatives_ : left_out_);
      return negative ? Verdict::negative : Verdict::left_out;
    }
    return Verdict::counts;
  }
  /// Whether it counts, of a file without labels.
  template <class Field>
  bool keeps(const LineReader& reader, const Field& field) {
    return judge(reader, field) == Verdict::counts;
  }
  /// For a file of which nobody knows beside what something was shown.
  void forget_negatives() { shown_ = false; }
  /// Appends one line to `notes` about rows that were left out and columns that were not looked at, if there
  /// are any.
  void report(std::vector<std::string>& notes) const;

 private:
  static bool holds(const LineReader& reader, const Condition& condition, std::string_view field);

  void add_conditions(const std::string& keep, std::span<const std::string> columns);

  std::string path_, setting_;
  double good_rating_;
  std::vector<Condition> conditions_;
  std::vector<std::string> ratings_, unused_;  // columns
  bool shown_;
  std::int64_t rows_ = 0, left_out_ = 0, negatives_ = 0;
};

}  // namespace sllmr
