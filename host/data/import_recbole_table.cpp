#include "host/data/import_recbole_table.h"

#include <array>

namespace sllmr {
namespace {

constexpr std::array kTypes{"token", "token_seq", "float", "float_seq"};

}  // namespace

AtomicTable::AtomicTable(const std::string& path) : reader_(path) {
  std::vector<std::string_view> cells;
  split(reader_.first(), "\t", cells);
  for (const std::string_view cell : cells) {
    const std::size_t colon = cell.find(':');
    const auto type = colon == cell.npos ? "" : cell.substr(colon + 1);
    if (std::ranges::find(kTypes, type) == kTypes.end()) {
      reader_.fail(fmt::format("header '{}' is not name:type with type {}; correct it", cell,
                               fmt::join(kTypes, ", ")));
    }
    const std::string name(cell.substr(0, colon));
    if (find(std::array{name}) >= 0) reader_.fail(fmt::format("the header has '{}' twice; keep one", name));
    columns_.push_back({name, std::string(type)});
  }
}

bool AtomicTable::next() {
  std::string_view line;
  if (!reader_.next(line)) return false;
  reader_.split_exactly(line, "\t", columns_.size(), fields_);
  return true;
}

std::vector<std::string> AtomicTable::others(std::span<const std::size_t> used) const {
  std::vector<std::string> names;
  for (std::size_t k = 0; k < columns_.size(); ++k) {
    if (std::ranges::find(used, k) == used.end()) names.push_back(columns_[k].name);
  }
  return names;
}

}  // namespace sllmr
