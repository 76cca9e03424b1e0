// Reading data sets. Every importer fills the same Dataset; a new one is one file and one line in import.cpp.
#pragma once

#include <string>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr {

/// What the caller may know better than the files.
struct ImportOptions {
  std::string format = "auto";  // or a name of import_formats()
  std::string items;            // path of the item file where it does not lie beside the interactions
};

/// Names of all importers: recbole, amazon, movielens, s3rec.
std::vector<std::string> import_formats();

/// Reads a data set. `path` is a file, or a prefix or folder: `../data/beauty` finds beauty.inter,
/// beauty.item. Throws Error naming file, line and remedy for a missing file, a malformed, truncated or
/// duplicate line, and so on.
Dataset load_dataset(const std::string& path, const ImportOptions& options = {});

/// Writes NAME.inter and NAME.item (RecBole atomic files) under `folder`, each of them whole or not at all.
void save_recbole(const Dataset& data, const std::string& folder);

}  // namespace sllmr
