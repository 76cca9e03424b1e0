// What a data format brings along; import.cpp lists the formats.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <optional>
#include "host/data/import.h"

namespace sllmr {

struct Importer {
  std::string name;
  /// Endings to try behind a prefix: ".inter" finds beauty.inter for `beauty`.
  std::vector<std::string> endings;
  /// Whether a file with this name (without folders) and this first line holds interactions in this format.
  bool (*recognises)(std::string_view file_name, std::string_view first_line);
  /// Reads interactions and items. `interactions` is one file, or the parts of data that came split. Where
  /// options.items is empty an item file is taken that lies beside the interactions under its usual name, if
  /// there is one. Throws Error naming file, line and remedy.
  Dataset (*load)(const std::vector<std::string>& interactions, const ImportOptions& options);
};

Importer recbole_importer();
Importer amazon_importer();
Importer movielens_importer();
Importer s3rec_importer();
Importer kuairec_importer();
Importer mind_importer();
Importer described_importer();

/// The parts of data that came split, in their order in a history.
enum class Part : std::uint8_t { train, valid, test };
inline constexpr const char* kPartNames[] = {"train", "valid", "test"};

/// For NAME.train.inter and NAME.train.csv: NAME, with its folders, the part, and ".inter" or ".csv". Nothing
/// for other files.
struct PartFile {
  std::string prefix;
  Part part;
  std::string ending;
};
std::optional<PartFile> part_of(const std::string& file);

/// What is told where one part is read by itself.
std::string note_of_part(const std::string& file, const PartFile& part);

/// Each of `endings`, and each with .gz.
std::vector<std::string> with_gzip(const std::vector<std::string>& endings);
/// The file name in `path` without its folders and without the first of `endings` that it has.
std::string base_name(const std::string& path, const std::vector<std::string>& endings);
/// The name of the folder that `file` lies in, also of "." and "..".
std::string folder_name(const std::string& file);
/// The file among `names` that exists in the folder of `file`, or "". Throws Error where several do.
std::string find_beside(const std::string& file, const std::vector<std::string>& names);
/// Calls read(path, data, options) for the item file of the interactions in `file`: options.items or else the
/// one among `names` that lies beside it, where there is one.
void add_items(Dataset& data, const std::string& file, const std::vector<std::string>& names,
               const ImportOptions& options,
               void (*read)(const std::string& path, Dataset& data, const ImportOptions& options));

}  // namespace sllmr
