#include "experiments/commands/import_options.h"

#include <fmt/format.h>

#include <limits>
#include <map>

#include "experiments/commands/flags.h"
#include "host/data/date_range.h"

namespace sllmr {
namespace {

const std::map<std::string, Duplicates> kDuplicates{{"error", Duplicates::error},
                                                    {"first", Duplicates::first},
                                                    {"last", Duplicates::last},
                                                    {"keep", Duplicates::keep}};
const std::map<std::string, SplitSource> kSplits{{"auto", SplitSource::automatic},
                                                 {"leave_one_out", SplitSource::leave_one_out},
                                                 {"last_item", SplitSource::last_item},
                                                 {"given", SplitSource::given}};
const std::map<std::string, Negatives> kNegatives{{"shown", Negatives::shown}, {"drawn", Negatives::drawn}};

CLI::Validator is_time_bound() {
  return CLI::Validator(
      [](const std::string& text) {
        return parse_time_bound(text)
                   ? std::string()
                   : fmt::format("'{}' is no date such as 2018-01-31, and no number", text);
      },
      "DATE or NUMBER");
}

}  // namespace

void add_import_options(CLI::App& command, ImportOptions& options, const std::string& format_flag) {
  command.add_option(format_flag, options.format, fmt::format("auto, {}", fmt::join(import_formats(), ", ")))
      ->capture_default_str();
  command.add_option("--items", options.items, "Item file, where it does not lie beside the interactions");
  command
      .add_option("--keep", options.keep,
                  "Rows that count: auto (label, is_click or click > 0), all, or conditions (rating >= 4)")
      ->capture_default_str();
  command
      .add_option("--min-rating", options.min_rating,
                  "Least rating of a row that counts, where --keep is auto; 0: any")
      ->check(number_in(0.0, 1e30))
      ->capture_default_str();
  command
      .add_option("--negatives", options.negatives,
                  "What the data say was shown and not taken: shown, which are negatives, or drawn, left out")
      ->transform(CLI::Transformer(kNegatives))
      ->default_str("shown");
  command
      .add_option("--duplicates", options.duplicates,
                  "Rows of the same user, item and time, items described twice: error, first, last or keep")
      ->transform(CLI::Transformer(kDuplicates))
      ->default_str("first");
  command
      .add_option("--from", options.from,
                  "First day of the interactions (2018-01-31, UTC), or the first time, in the data's unit")
      ->check(is_time_bound());
  command.add_option("--to", options.to, "Last day of the interactions, or the last time")
      ->check(is_time_bound());
  command
      .add_option("--core", options.core,
                  "Leave out users and items with fewer interactions until there are none; 0: all stay")
      ->check(number_in(0, std::numeric_limits<int>::max()))
      ->capture_default_str();
  command
      .add_option("--split", options.split,
                  "auto, leave_one_out, last_item, or given by NAME.train.inter, NAME.valid.inter and "
                  "NAME.test.inter")
      ->transform(CLI::Transformer(kSplits))
      ->default_str("auto");
  command
      .add_option("--min-described", options.min_described,
                  "Least share of the items that must have a title or attributes")
      ->check(number_in(0.0, 1.0))
      ->capture_default_str();
}

}  // namespace sllmr
