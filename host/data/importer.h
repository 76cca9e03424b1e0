// What a data format brings along; import.cpp lists the formats.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr {

struct Importer {
  std::string name;
  /// Endings to try behind a prefix: ".inter" finds beauty.inter for `beauty`.
  std::vector<std::string> endings;
  /// Whether a file with this name (without folders) and this first line holds interactions in this format.
  bool (*recognises)(std::string_view file_name, std::string_view first_line);
  /// Reads interactions and items. `items` is empty where the caller named no item file: then one is taken
  /// that lies beside the interactions under its usual name, if there is one. Throws Error naming file, line
  /// and remedy.
  Dataset (*load)(const std::string& interactions, const std::string& items);
};

Importer recbole_importer();
Importer amazon_importer();
Importer movielens_importer();
Importer s3rec_importer();

/// The file name in `path` without its folders and without the first of `endings` that it has.
std::string base_name(const std::string& path, const std::vector<std::string>& endings);
/// The first of `names` that exists in the folder of `file`, or "".
std::string find_beside(const std::string& file, const std::vector<std::string>& names);

}  // namespace sllmr
