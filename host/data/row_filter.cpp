#include "host/data/row_filter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "host/base/trim.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr std::array<std::string_view, 3> kLabels{"label", "is_click", "click"};
constexpr std::array<std::string_view, 4> kRatings{"rating", "overall", "stars", "score"};
constexpr std::array<std::string_view, 6> kComparisons{">=", "<=", "==", "!=", ">", "<"};  // longest first

/// A finite number that `text` consists of.
std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

RowFilter::Condition parse_condition(std::string_view text, std::string_view keep) {
  const std::size_t at = text.find_first_of("<>=!");
  for (const std::string_view comparison : kComparisons) {
    if (at == text.npos || !text.substr(at).starts_with(comparison)) continue;
    const std::string_view name = trim(text.substr(0, at)),
                           number = trim(text.substr(at + comparison.size()));
    const std::optional<double> value = parse_number(number);
    if (name.empty() || !value) break;
    return {0, std::string(name), std::string(comparison), *value};
  }
  throw Error(
      fmt::format("data.keep is '{}'; write auto, all, or conditions such as 'rating >= 4' or 'rating >= 4, "
                  "is_click > 0'",
                  keep));
}

/// The number of the column that is `told`, or where that is empty of the first of `usual` that is one.
std::optional<std::size_t> find_role(std::span<const std::string> columns, const std::string& told,
                                     std::span<const std::string_view> usual) {
  const std::string_view name = told;
  for (const std::string_view each : told.empty() ? usual : std::span(&name, 1)) {
    const auto found = std::ranges::find(columns, each);
    if (found != columns.end()) return static_cast<std::size_t>(found - columns.begin());
  }
  return std::nullopt;
}

}  // namespace

std::optional<double> filter_value(std::string_view field) {
  field = trim(field);
  if (field == "true" || field == "True" || field == "TRUE") return 1;
  if (field == "false" || field == "False" || field == "FALSE") return 0;
  return parse_number(field);
}

bool is_label(std::string_view column) {
  return std::ranges::find(kLabels, column) != kLabels.end();
}

AbsentLabels::AbsentLabels(std::span<const std::string> columns, JsonObject& object) {
  for (const std::string_view label : kLabels) {
    if (std::ranges::find(columns, label) == columns.end())
      labels_.emplace_back(label, object.column(std::string(label)));
  }
}

void AbsentLabels::check(const LineReader& reader, const JsonObject& object) const {
  for (const auto& [label, column] : labels_) {
    if (object.kind(column) == JsonObject::Kind::none) continue;
    reader.fail(fmt::format(
        "there is a {}, which line 1 lacks; add it to all lines, or set data.keep to all or to conditions",
        label));
  }
}

RowFilter::RowFilter(const std::string& path, const ImportOptions& options,
                     std::span<const std::string> columns, const ColumnRoles& roles)
    : path_(path),
      setting_("data.keep=" + options.keep),
      good_rating_(roles.good_rating),
      shown_(options.negatives == Negatives::shown) {
  const auto rating = find_role(columns, roles.rating, kRatings);
  if (options.keep == "auto") {
    if (const auto label = find_role(columns, roles.label, kLabels))
      conditions_.push_back(
          {.column = *label, .name = columns[*label], .comparison = ">", .value = 0, .is_label = true});
  } else if (options.keep != "all") {
    add_conditions(options.keep, columns);
  }
  if (options.min_rating > 0) {
    require(options.keep == "auto",
            fmt::format("data.min_rating={} and data.keep={} both choose rows; write all conditions into "
                        "data.keep, as in 'rating >= {}'",
                        options.min_rating, options.keep, options.min_rating));
    require(rating.has_value(),
            fmt::format("{}: data.min_rating={}, but there is no column {}; {}", path_, options.min_rating,
                        fmt::join(kRatings, ", "),
                        columns.empty() ? "there are none to choose by"
                                        : fmt::format("data.keep chooses by any other, here {}",
                                                      fmt::join(columns, ", "))));
    conditions_.push_back({*rating, columns[*rating], ">=", options.min_rating, "leave data.min_rating out"});
    setting_ += fmt::format(" data.min_rating={}", options.min_rating);
  }
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const auto is_this = [&](const Condition& condition) { return condition.column == k; };
    if (std::ranges::any_of(conditions_, is_this)) continue;
    const bool is_rating = k == rating || std::ranges::find(kRatings, columns[k]) != kRatings.end();
    if (is_rating)
      ratings_.push_back(columns[k]);
    else if (std::ranges::find(roles.used, columns[k]) == roles.used.end())
      unused_.push_back(columns[k]);
  }
}

void RowFilter::add_conditions(const std::string& keep, std::span<const std::string> columns) {
  std::vector<std::string_view> parts;
  split(keep, ",", parts);
  for (const std::string_view part : parts) {
    Condition condition = parse_condition(part, keep);
    const auto found = std::ranges::find(columns, condition.name);
    require(
        found != columns.end(),
        fmt::format("{}: there is no column '{}' as data.keep ({}) asks for; {}", path_, condition.name, keep,
                    columns.empty() ? "there are none to choose by"
                                    : fmt::format("choose by {}", fmt::join(columns, ", "))));
    condition.column = static_cast<std::size_t>(found - columns.begin());
    conditions_.push_back(std::move(condition));
  }
}

bool RowFilter::holds(const LineReader& reader, const Condition& condition, std::string_view field) {
  const std::optional<double> value = filter_value(field);
  if (!value) {
    reader.fail(fmt::format("{} is '{}', not a finite number; correct or delete the line, or {}",
                            condition.name, field, condition.remedy));
  }
  const double x = *value;
  const std::string& comparison = condition.comparison;
  if (comparison == ">=") return x >= condition.value;
  if (comparison == "<=") return x <= condition.value;
  if (comparison == "==") return x == condition.value;
  if (comparison == "!=") return x != condition.value;
  return comparison == ">" ? x > condition.value : x < condition.value;
}

void RowFilter::report(std::vector<std::string>& notes) const {
  std::vector<std::string> parts;
  const auto tell = [&](std::int64_t rows, const char* are, bool negative) {
    if (rows == 0) return;
    std::vector<std::string> texts;
    for (const Condition& c : conditions_) {
      if ((shown_ && c.is_label) == negative)
        texts.push_back(fmt::format("{} {} {}", c.name, c.comparison, c.value));
    }
    parts.push_back(fmt::format("{} of {} rows are {}, as they are not {} ({})", rows, rows_, are,
                                fmt::join(texts, ", "), setting_));
  };
  tell(negatives_, "negatives", true);
  tell(left_out_, "left out", false);
  if (!ratings_.empty()) {
    parts.push_back(fmt::format("a row counts whatever its {} (data.min_rating={} would choose)",
                                fmt::join(ratings_, ", "), good_rating_));
  }
  if (!unused_.empty()) parts.push_back(fmt::format("not used: {}", fmt::join(unused_, ", ")));
  if (!parts.empty()) notes.push_back(fmt::format("note: {}: {}", path_, fmt::join(parts, "; ")));
}

}  // namespace sllmr
