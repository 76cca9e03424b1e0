#include "host/data/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <set>
#include <utility>

#include "host/base/line_reader.h"
#include "host/base/say.h"
#include "host/data/date_range.h"
#include "host/data/feature_source.h"
#include "host/data/importer.h"
#include "host/data/tables.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

namespace fs = std::filesystem;

const std::vector<Importer>& importers() {
  static const std::vector<Importer> all{
      recbole_importer(), amazon_importer(), movielens_importer(), s3rec_importer(),
      kuairec_importer(), mind_importer(),   described_importer(),
  };
  return all;
}

/// A file of interactions, or the parts of data that came split, and who reads it.
struct Source {
  const Importer* importer;
  std::vector<std::string> files;
  std::vector<std::string> notes{};  // of what lies beside them and is not read
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
  try {
    text.resize(InputFile(path).read(text.data(), text.size()));
  } catch (const Error&) {
    return {};
  }
  if (text.starts_with(kUtf8Mark)) text.erase(0, kUtf8Mark.size());
  return text.substr(0, text.find_first_of("\r\n"));
}

/// What is found on the way to the one source.
struct Search {
  std::vector<const Importer*> chosen;
  std::vector<Source> sources;
  std::vector<std::string> utf16;  // files that no importer can recognise

  /// Adds the file once for every importer that recognises it.
  void add(const std::string& file) {
    const std::string name = fs::path(file).filename().string(), line = peek_first_line(file);
    if (is_utf16(line)) utf16.push_back(file);
    for (const Importer* importer : chosen) {
      if (importer->recognises(name, line)) sources.push_back({importer, {file}});
    }
  }

  /// Joins the parts of data that came split. Where NAME.inter is there too, the split decides, and what
  /// is left out unasked is noted.
  void join_parts(SplitSource split) {
    std::vector<Source> whole, parts;
    std::vector<std::string> prefixes;  // of the parts
    for (Source& source : sources) {
      const auto part = part_of(source.files.front());
      if (!part) {
        whole.push_back(std::move(source));
        continue;
      }
      const auto found = std::ranges::find(prefixes, part->prefix);
      if (found != prefixes.end()) {
        parts[static_cast<std::size_t>(found - prefixes.begin())].files.push_back(source.files.front());
      } else {
        prefixes.push_back(part->prefix);
        parts.push_back(std::move(source));
      }
    }
    for (std::size_t k = 0; k < parts.size(); ++k) {
      std::ranges::sort(parts[k].files, {}, [](const std::string& file) { return part_of(file)->part; });
      const auto is_same_data = [&](const Source& source) {
        const std::string same = prefixes[k] + part_of(parts[k].files.front())->ending;
        return source.files.front() == same || source.files.front() == same + ".gz";
      };
      if (split == SplitSource::given) {
        std::erase_if(whole, is_same_data);
      } else if (const auto same = std::ranges::find_if(whole, is_same_data); same != whole.end()) {
        if (split == SplitSource::automatic) {
          same->notes.push_back(fmt::format(
              "note: {}: read without the split that lies beside it ({}); data.split=given reads that",
              same->files.front(), fmt::join(parts[k].files, ", ")));
        }
        continue;
      }
      check_parts(parts[k].files, prefixes[k]);
      whole.push_back(std::move(parts[k]));
    }
    sources = std::move(whole);
  }

 private:
  /// Error where one is missing or there twice.
  static void check_parts(const std::vector<std::string>& files, const std::string& prefix) {
    for (const Part part : {Part::train, Part::valid, Part::test}) {
      const auto count =
          std::ranges::count(files, part, [](const std::string& file) { return part_of(file)->part; });
      const std::string name = fmt::format("{}.{}{}", prefix, kPartNames[static_cast<std::size_t>(part)],
                                           part_of(files.front())->ending);
      require(count > 0 || part == Part::valid,
              fmt::format("{} is missing beside {}; add it, or name one file", name, fmt::join(files, ", ")));
      require(count <= 1, fmt::format("{} is there twice ({}); remove one", name, fmt::join(files, ", ")));
    }
  }
};

/// The one source found, or an Error.
Source only(const std::string& path, Search search, SplitSource split, const std::string& nothing_found) {
  search.join_parts(split);
  std::vector<Source>& sources = search.sources;
  if (sources.empty() && !search.utf16.empty()) {
    throw Error(fmt::format("{}: {} is in UTF-16 or UTF-32; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)",
                            path, search.utf16.front()));
  }
  require(!sources.empty(), fmt::format("{}: {}", path, nothing_found));
  if (sources.size() > 1) {
    std::vector<std::string> found;
    for (const Source& source : sources) {
      found.push_back(fmt::format("{} ({})", fmt::join(source.files, " + "), source.importer->name));
    }
    throw Error(fmt::format("{}: there are {} data sets here: {}; name one of them, or the format", path,
                            found.size(), fmt::join(found, ", ")));
  }
  require(
      split != SplitSource::given || sources[0].files.size() > 1,
      fmt::format("{}: data.split=given, but {} came without a split (NAME.train.inter, NAME.valid.inter and "
                  "NAME.test.inter)",
                  path, sources[0].files.front()));
  return sources.front();
}

Source find_in_folder(const std::string& path, const std::vector<const Importer*>& chosen,
                      const ImportOptions& options) {
  std::vector<std::string> files;
  std::error_code ignored;  // what cannot be read is not found
  for (const auto& entry : fs::directory_iterator(path, ignored)) {
    const bool hidden = entry.path().filename().string().starts_with('.');
    if (!hidden && entry.is_regular_file(ignored)) files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  Search search{chosen, {}, {}};
  for (const std::string& file : files) search.add(file);
  if (search.sources.empty() && options.format != "auto") {
    // The caller knows better: the files that are named as the format's are.
    for (const std::string& file : files) {
      const auto has = [&](const std::string& ending) { return file.ends_with(ending); };
      if (std::ranges::any_of(chosen.front()->endings, has))
        search.sources.push_back({chosen.front(), {file}});
    }
  }
  const std::string formats = fmt::format("{}", fmt::join(import_formats(), ", "));
  return only(
      path, std::move(search), options.split,
      options.format == "auto"
          ? fmt::format("no file here looks like interactions; name the file, or its format ({})", formats)
          : fmt::format("no file here looks like {} interactions (endings {}); name the file", options.format,
                        fmt::join(chosen.front()->endings, ", ")));
}

Source find_source(const std::string& given_path, const ImportOptions& options) {
  const auto chosen = choose_importers(options.format);
  std::string path = given_path;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return find_in_folder(path, chosen, options);
  const auto part = part_of(path);
  if (part && options.split == SplitSource::given) path = part->prefix;
  if (exists(path)) {
    require(fs::is_regular_file(path, ignored),
            fmt::format("{}: no regular file; data are read more than once, so write them to a file", path));
    if (options.format != "auto") return {chosen.front(), {path}};
    Search search{chosen, {}, {}};
    search.add(path);
    if (part && !search.sources.empty()) return search.sources.front();
    return only(path, std::move(search), options.split,
                fmt::format("the format cannot be told from name and content; name it ({})",
                            fmt::join(import_formats(), ", ")));
  }
  Search search{chosen, {}, {}};
  std::vector<std::string> tried{path};
  for (const Importer* importer : chosen) {
    for (const std::string& ending : importer->endings) {
      if (std::ranges::find(tried, path + ending) != tried.end()) continue;
      tried.push_back(path + ending);
      if (exists(tried.back())) search.add(tried.back());
    }
  }
  return only(path, std::move(search), options.split,
              fmt::format("no such data set; check the path (tried {})", fmt::join(tried, ", ")));
}

/// Prints the notes that this process has not printed yet: a comparison reads its data once a run.
void print_notes(const std::vector<std::string>& notes) {
  static std::mutex mutex;
  static std::set<std::string> printed;
  const std::lock_guard lock(mutex);
  for (const std::string& note : notes) {
    if (printed.insert(note).second) say(note);
  }
}

/// A user's last item is the test item; that of a user with one item is for training.
void hold_out_last_items(Dataset& data) {
  data.held_out.assign(data.users.rows(), {});
  for (Id user = 1; user < data.users.rows(); ++user)
    data.held_out[user].test = data.user_history(user).size() >= 2;
  data.hash = content_hash(data);
}

}  // namespace

std::optional<PartFile> part_of(const std::string& file) {
  for (std::size_t part = 0; part < std::size(kPartNames); ++part) {
    for (const char* ending : {".inter", ".csv"}) {
      for (const std::string& whole : with_gzip({fmt::format(".{}{}", kPartNames[part], ending)})) {
        if (file.ends_with(whole))
          return PartFile{file.substr(0, file.size() - whole.size()), static_cast<Part>(part), ending};
      }
    }
  }
  return std::nullopt;
}

std::string note_of_part(const std::string& file, const PartFile& part) {
  return fmt::format(
      "note: {}: this is one part of a data set that came split, and is read by itself; {} names the "
      "whole",
      file, part.prefix);
}

std::vector<std::string> import_formats() {
  std::vector<std::string> names;
  for (const Importer& importer : importers()) names.push_back(importer.name);
  return names;
}

Dataset load_dataset(const std::string& path, const ImportOptions& options) {
  const Source source = find_source(path, options);
  if (source.files.size() > 1 && !joins_parts(options.split)) {
    // Which part would lose what is for whoever made the split to say.
    require(!has_dates(options) && options.core == 0,
            fmt::format("{}: the data came split ({}), and data.from, data.to and data.core would change the "
                        "split; leave them out, or set data.split=leave_one_out, which joins the parts",
                        path, fmt::join(source.files, ", ")));
  }
  const ReadFiles read;
  Dataset data = source.importer->load(source.files, options);
  require_described(data, options.min_described, data.source);  // there may be no item file
  if (options.split == SplitSource::last_item) hold_out_last_items(data);
  data.files = read.paths();
  data.notes.insert(data.notes.begin(), source.notes.begin(), source.notes.end());
  data.name.erase(0, data.name.find_first_not_of('.'));  // files are named after it, and must not be hidden
  if (data.name.empty()) data.name = source.importer->name;
  data.feature_hash = feature_hash(data);
  data.text_hash = text_hash(data);
  print_notes(data.notes);
  return data;
}

std::vector<std::string> with_gzip(const std::vector<std::string>& endings) {
  std::vector<std::string> all;
  for (const std::string& ending : endings) {
    all.push_back(ending);
    all.push_back(ending + ".gz");
  }
  return all;
}

std::string base_name(const std::string& path, const std::vector<std::string>& endings) {
  std::string name = fs::path(path).filename().string();
  for (const std::string& ending : endings) {
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  }
  return name;
}

std::string folder_name(const std::string& file) {
  const fs::path folder = fs::absolute(file).parent_path();
  const std::string name = folder.filename().string();
  return name.empty() || name == "." || name == ".." ? fs::canonical(folder).filename().string() : name;
}

std::string find_beside(const std::string& file, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    const fs::path candidate = fs::path(file).parent_path() / name;
    if (exists(candidate.string())) found.push_back(candidate.string());
  }
  require(found.size() <= 1,
          fmt::format("{}: there are several item files beside it: {}; name one (data.items)", file,
                      fmt::join(found, ", ")));
  return found.empty() ? "" : found.front();
}

void add_items(Dataset& data, const std::string& file, const std::vector<std::string>& names,
               const ImportOptions& options,
               void (*read)(const std::string& path, Dataset& data, const ImportOptions& options)) {
  const std::string path = !options.items.empty() ? options.items : find_beside(file, names);
  if (!path.empty()) read(path, data, options);
}

}  // namespace sllmr
