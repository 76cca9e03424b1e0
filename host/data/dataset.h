// An interaction data set in memory: vocabularies, histories in time order, item texts and attributes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/exec/types.h"

namespace sllmr {

/// Two-way map between raw tokens ("B004756YJA") and dense ids. Id 0 is padding and has the empty token.
class Vocabulary {
 public:
  /// The token's id; adds it when it is new.
  Id add(std::string_view token);
  /// The token's id, or 0 when unknown.
  Id find(std::string_view token) const;
  const std::string& token(Id id) const { return tokens_[static_cast<std::size_t>(id)]; }
  /// Number of ids, padding included: the rows an embedding table needs.
  Id rows() const { return static_cast<Id>(tokens_.size()); }
  /// Number of real tokens.
  Id count() const { return rows() - 1; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  std::vector<std::string> tokens_{std::string()};
  std::unordered_map<std::string, Id, Hash, std::equal_to<>> ids_;
};

/// All interactions of a data set. CSR layouts; every `*_offsets` has rows() + 1 entries and row 0 is empty.
struct Dataset {
  std::string name;    // "beauty"
  std::string source;  // the path it was read from
  std::uint64_t hash = 0;  // of users, items and histories: the same data give the same hash, whatever the format
  Vocabulary users, items, attributes;
  std::vector<std::int64_t> history_offsets;    // by user
  std::vector<Id> history;                      // items of a user, oldest first
  std::vector<std::string> titles;              // by item id; empty where the data have none
  std::vector<std::int64_t> attribute_offsets;  // by item
  std::vector<Id> item_attributes;

  std::int64_t interactions() const { return static_cast<std::int64_t>(history.size()); }
  std::span<const Id> user_history(Id user) const {
    const auto first = static_cast<std::size_t>(history_offsets[static_cast<std::size_t>(user)]);
    const auto last = static_cast<std::size_t>(history_offsets[static_cast<std::size_t>(user) + 1]);
    return std::span(history).subspan(first, last - first);
  }
  std::span<const Id> attributes_of(Id item) const {
    const auto first = static_cast<std::size_t>(attribute_offsets[static_cast<std::size_t>(item)]);
    const auto last = static_cast<std::size_t>(attribute_offsets[static_cast<std::size_t>(item) + 1]);
    return std::span(item_attributes).subspan(first, last - first);
  }
};

}  // namespace sllmr
