// Writing data sets as RecBole atomic files.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "host/base/atomic_file.h"
#include "host/base/output_file.h"
#include "host/data/import.h"
#include "host/data/importer.h"
#include "host/data/list_cell.h"
#include "host/data/split.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// The header of the interactions, and of those with negatives.
constexpr const char* kWrittenInteractions = "user_id:token\titem_id:token\tposition:float";
constexpr const char* kWrittenLabels = "user_id:token\titem_id:token\tposition:float\tlabel:float";

/// The cell of an item's attributes of one kind.
std::string attribute_cell(const Dataset& data, Id item, AttributeKind kind) {
  std::vector<std::string_view> values;
  const auto begin = static_cast<std::size_t>(data.attribute_offsets[item]),
             end = static_cast<std::size_t>(data.attribute_offsets[item + 1]);
  for (std::size_t k = begin; k < end; ++k) {
    if (data.kind_of(k) == kind) values.push_back(data.attributes.token(data.item_attributes[k]));
  }
  return join_list(values, kind != AttributeKind::brand);
}

/// Where save_recbole() puts the interactions: one file, or the parts of a `given` split in the order of
/// Part.
std::vector<std::string> interaction_files(bool given, const std::string& prefix) {
  if (!given) return {prefix + ".inter"};
  std::vector<std::string> files;
  for (const char* part : kPartNames) files.push_back(fmt::format("{}.{}.inter", prefix, part));
  return files;
}

std::string items_header(std::span<const AttributeKind> kinds) {
  constexpr const char* kHeaders[] = {"brand:token", "categories:token_seq", "attributes:token_seq"};
  std::string header = "item_id:token\ttitle:token_seq";
  for (const AttributeKind kind : kinds) {
    header += '\t';
    header += kHeaders[static_cast<std::size_t>(kind)];
  }
  return header;
}

/// Begins the file as save_recbole() begins items, whichever attributes they have?
bool has_items_header(const std::string& path) {
  constexpr AttributeKind kAll[] = {AttributeKind::brand, AttributeKind::category, AttributeKind::unlabelled};
  for (unsigned subset = 0; subset < 1U << std::size(kAll); ++subset) {
    std::vector<AttributeKind> kinds;
    for (std::size_t k = 0; k < std::size(kAll); ++k) {
      if ((subset >> k & 1U) != 0) kinds.push_back(kAll[k]);
    }
    if (has_first_line(path, items_header(kinds))) return true;
  }
  return false;
}

void write_items(const Dataset& data, std::ostream& out) {
  std::vector<AttributeKind> kinds;
  for (const AttributeKind kind :
       {AttributeKind::brand, AttributeKind::category, AttributeKind::unlabelled}) {
    const bool unlabelled = kind == AttributeKind::unlabelled;
    if (data.attribute_kinds.empty() ? unlabelled : std::ranges::count(data.attribute_kinds, kind) > 0) {
      kinds.push_back(kind);
    }
  }
  out << items_header(kinds) << '\n';
  for (Id item = 1; item < data.items.rows(); ++item) {
    out << data.items.token(item) << '\t' << data.titles[item];
    for (const AttributeKind kind : kinds) out << '\t' << attribute_cell(data, item, kind);
    out << '\n';
  }
}

}  // namespace

void check_recbole_output(const Dataset& data, const std::string& folder, bool force) {
  const std::string prefix = (std::filesystem::path(folder) / data.name).string();
  const bool given = !data.held_out.empty();
  const auto is_ours = [](const std::string& path) {
    return has_first_line(path, kWrittenInteractions) || has_first_line(path, kWrittenLabels);
  };
  // Anybody may begin an item file with our header; ours has interactions with ours beside it.
  const auto are_our_items = [&](const std::string& path) {
    return has_items_header(path) && (std::ranges::any_of(interaction_files(false, prefix), is_ours) ||
                                      std::ranges::any_of(interaction_files(true, prefix), is_ours));
  };
  check_output(prefix + ".item", data.files, are_our_items, force);
  for (const std::string& file : interaction_files(given, prefix))
    check_output(file, data.files, is_ours, force);
  if (force) return;
  for (const std::string& file : with_gzip(interaction_files(!given, prefix))) {
    require(
        !std::filesystem::exists(file),
        fmt::format("'{}' holds '{}' {} a split, and of the two forms one is read: remove it, name another "
                    "folder for the output, or give --force",
                    file, data.name, given ? "without" : "with"));
  }
}

void save_recbole(const Dataset& data, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, fmt::format("{}: cannot be created ({}); name a folder that can be written", folder,
                              error.message()));
  const std::string prefix = (std::filesystem::path(folder) / data.name).string();

  AtomicFile items(prefix + ".item");
  write_items(data, items.stream());

  const bool given = !data.held_out.empty();
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (const std::string& file : interaction_files(given, prefix)) {
    files.push_back(std::make_unique<AtomicFile>(file));
    files.back()->stream() << (data.negatives.empty() ? kWrittenInteractions : kWrittenLabels) << '\n';
  }
  const Split split = leave_one_out(data);
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto history = data.user_history(user);
    for (std::size_t k = 0; k < history.size(); ++k) {
      Part part = Part::train;
      if (given && k >= split.train_items(user).size()) {
        part = k + 1 == history.size() && split.test[user] != 0 ? Part::test : Part::valid;
      }
      std::ostream& out = files[static_cast<std::size_t>(part)]->stream();
      const auto write = [&](Id item, const char* label) {
        out << data.users.token(user) << '\t' << data.items.token(item) << '\t' << k << label << '\n';
      };
      write(history[k], data.negatives.empty() ? "" : "\t1");
      for (const Id item : data.negatives_at(user, static_cast<std::int32_t>(k))) write(item, "\t0");
    }
  }
  items.commit();
  for (const auto& file : files) file->commit();
}

}  // namespace sllmr
