// Reading data sets. Every importer fills the same Dataset; a new one is one file and one line in import.cpp.
#pragma once

#include <string>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr {

/// What becomes of lines that say again what an earlier one has said. Interactions are repeated where user,
/// item and time are the same; users and items, which are never kept twice, where the id is.
enum class Duplicates { error, first, last, keep };

/// How interactions are divided into training, validation and test.
enum class SplitSource {
  automatic,      // as the files are, where there is NAME.train.inter and no NAME.inter (else that is noted)
  leave_one_out,  // files that came split are joined
  last_item,      // the same, and a user's last item is tested, with none for validation
  given,          // by NAME.train.inter, NAME.valid.inter and NAME.test.inter
};

/// What becomes of items that the data say were shown to a user and not taken.
enum class Negatives {
  shown,  // Dataset::negatives
  drawn,  // they are left out
};

constexpr bool joins_parts(SplitSource split) {
  return split == SplitSource::leave_one_out || split == SplitSource::last_item;
}

/// What the caller may know better than the files. What leaves interactions out works in this order: `keep`
/// or `min_rating`, `duplicates`, `from` and `to`, `core`.
struct ImportOptions {
  std::string format = "auto";  // or a name of import_formats()
  std::string items;            // path of the item file where it does not lie beside the interactions
  std::string keep = "auto";    // which rows are positives: see RowFilter
  double min_rating = 0;        // a positive has this rating at least; 0: any
  Negatives negatives = Negatives::shown;
  Duplicates duplicates = Duplicates::first;
  std::string from, to;  // what is earlier or later is left out: a date or a number, see date_range.h
  int core = 0;          // users and items with fewer interactions are left out until there are none
  SplitSource split = SplitSource::automatic;
  double min_described = 0;  // a smaller share of items with a title or attributes is an Error
};

/// Names of all importers: recbole, amazon, movielens, s3rec, kuairec, mind, described.
std::vector<std::string> import_formats();

/// Reads a data set. `path` is a file, or a prefix or folder: `../data/beauty` finds beauty.inter,
/// beauty.item. What was left out or does not fit is printed to stderr (once a process) and kept in
/// Dataset::notes. Throws Error naming file, line and remedy for a missing file, a malformed or truncated
/// line, and so on.
Dataset load_dataset(const std::string& path, const ImportOptions& options = {});

/// Throws Error where save_recbole() would write over one of the files that the data were read from, or,
/// unless `force`, over a file that it did not write or beside the same data in the other form, split or not.
void check_recbole_output(const Dataset& data, const std::string& folder, bool force);

/// Writes NAME.inter and NAME.item (RecBole atomic files) under `folder`, each of them whole or not at all;
/// of data that came split NAME.train.inter, NAME.valid.inter and NAME.test.inter. They read back to equal
/// hashes.
void save_recbole(const Dataset& data, const std::string& folder);

}  // namespace sllmr
