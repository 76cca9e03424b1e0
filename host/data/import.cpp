#include "host/data/import.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>

#include "host/data/feature_source.h"
#include "host/data/importer.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

namespace fs = std::filesystem;

const std::vector<Importer>& importers() {
  static const std::vector<Importer> all{
      recbole_importer(),
      amazon_importer(),
      movielens_importer(),
      s3rec_importer(),
  };
  return all;
}

/// A file of interactions and who reads it.
struct Source {
  const Importer* importer;
  std::string file;
};

std::vector<const Importer*> choose_importers(const std::string& format) {
  std::vector<const Importer*> chosen;
  for (const Importer& importer : importers()) {
    if (format == "auto" || format == importer.name) chosen.push_back(&importer);
  }
  require(!chosen.empty(), fmt::format("unknown data format '{}'; choose one of auto, {}", format,
                                       fmt::join(import_formats(), ", ")));
  return chosen;
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// The beginning of the first line of a plain or gzip file, to tell its format; "" for an unreadable file.
std::string peek_first_line(const std::string& path) {
  std::string text(1 << 16, '\0');
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return {};
  const int got = gzread(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  text.resize(static_cast<std::size_t>(std::max(got, 0)));
  return text.substr(0, text.find_first_of("\r\n"));
}

/// Adds the file once for every importer that recognises it.
void add_recognised(const std::string& file, const std::vector<const Importer*>& chosen,
                    std::vector<Source>& sources) {
  const std::string name = fs::path(file).filename().string(), line = peek_first_line(file);
  for (const Importer* importer : chosen) {
    if (importer->recognises(name, line)) sources.push_back({importer, file});
  }
}

/// The one source found, or an Error.
Source only(const std::string& path, const std::vector<Source>& sources, const std::string& nothing_found) {
  require(!sources.empty(), fmt::format("{}: {}", path, nothing_found));
  if (sources.size() > 1) {
    std::vector<std::string> found;
    for (const Source& source : sources) {
      found.push_back(fmt::format("{} ({})", source.file, source.importer->name));
    }
    throw Error(fmt::format("{}: there are {} data sets here: {}; name one file, or the format", path,
                            found.size(), fmt::join(found, ", ")));
  }
  return sources.front();
}

Source find_source(const std::string& path, const std::string& format) {
  const auto chosen = choose_importers(format);
  const std::string formats = fmt::format("{}", fmt::join(import_formats(), ", "));
  std::vector<Source> sources;
  std::error_code ignored;  // what cannot be read is not found
  if (fs::is_directory(path, ignored)) {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(path, ignored)) {
      if (entry.is_regular_file(ignored)) files.push_back(entry.path().string());
    }
    std::ranges::sort(files);
    for (const std::string& file : files) add_recognised(file, chosen, sources);
    return only(
        path, sources,
        fmt::format("no file here looks like interactions; name the file, or its format ({})", formats));
  }
  if (exists(path)) {
    if (format != "auto") return {chosen.front(), path};
    add_recognised(path, chosen, sources);
    return only(path, sources,
                fmt::format("the format cannot be told from name and content; name it ({})", formats));
  }
  std::vector<std::string> tried{path};
  for (const Importer* importer : chosen) {
    for (const std::string& ending : importer->endings) {
      if (std::ranges::find(tried, path + ending) != tried.end()) continue;
      tried.push_back(path + ending);
      if (exists(tried.back())) add_recognised(tried.back(), chosen, sources);
    }
  }
  return only(path, sources,
              fmt::format("no such data set; check the path (tried {})", fmt::join(tried, ", ")));
}

}  // namespace

std::vector<std::string> import_formats() {
  std::vector<std::string> names;
  for (const Importer& importer : importers()) names.push_back(importer.name);
  return names;
}

Dataset load_dataset(const std::string& path, const ImportOptions& options) {
  const Source source = find_source(path, options.format);
  Dataset data = source.importer->load(source.file, options.items);
  data.feature_hash = feature_hash(data);
  data.text_hash = text_hash(data);
  return data;
}

std::string base_name(const std::string& path, const std::vector<std::string>& endings) {
  std::string name = fs::path(path).filename().string();
  for (const std::string& ending : endings) {
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  }
  return name;
}

std::string find_beside(const std::string& file, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const fs::path candidate = fs::path(file).parent_path() / name;
    if (exists(candidate.string())) return candidate.string();
  }
  return {};
}

}  // namespace sllmr
