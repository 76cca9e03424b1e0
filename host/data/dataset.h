// An interaction data set in memory: vocabularies, histories in time order, item texts and attributes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/exec/types.h"

namespace sllmr {

/// Two-way map between raw tokens ("B004756YJA") and dense ids in order of addition. Id 0 is padding and has
/// the empty token. All tokens lie in one pool of characters, found through an open-addressing table.
class TokenMap {
 public:
  /// The token's id; adds it when it is new.
  Id add(std::string_view token) { return add(token, hash_of(token)); }
  /// The token's id, or 0 when unknown.
  Id find(std::string_view token) const;
  /// For many look-ups, most of whose time is waiting for memory: hash_of() each token, prefetch() all, then
  /// prefetch_token() all, then add() them.
  static std::uint32_t hash_of(std::string_view token);
  void prefetch(std::uint32_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }
  void prefetch_token(std::uint32_t hash) const {
    const Slot& slot = slots_[hash & (slots_.size() - 1)];
    __builtin_prefetch(pool_.data() + slot.begin);
    __builtin_prefetch(&begins_[static_cast<std::size_t>(slot.id)]);
  }
  Id add(std::string_view token, std::uint32_t hash);
  /// The token of an id in [0, rows()). The view holds until the next add().
  std::string_view token(Id id) const {
    const auto row = static_cast<std::size_t>(id);
    return std::string_view(pool_).substr(begins_[row], begins_[row + 1] - begins_[row]);
  }
  /// Number of ids, padding included: the rows an embedding table needs.
  Id rows() const { return static_cast<Id>(begins_.size() - 1); }
  /// Number of real tokens.
  Id count() const { return rows() - 1; }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    Id id = 0;              // 0: free
    std::size_t begin = 0;  // of the token in the pool, as begins_ has it: one place less to look at
  };
  /// The slot that holds the token, or the free one where it belongs.
  std::size_t slot_of(std::string_view token, std::uint32_t hash) const;
  void grow();

  std::string pool_;
  std::vector<std::size_t> begins_{0, 0};            // rows() + 1 positions in the pool
  std::vector<Slot> slots_ = std::vector<Slot>(16);  // a power of two, at most three quarters full
};

/// What the data call an attribute of an item.
enum class AttributeKind : std::uint8_t { brand, category, unlabelled };

/// Of a user whose interactions came split: whether the last ones are held out.
struct HeldOut {
  bool validation = false;  // the last but one, or the last where there is no test item
  bool test = false;        // the last
};

/// All interactions of a data set. CSR layouts; every `*_offsets` has rows() + 1 entries and row 0 is empty.
///
/// Users are numbered in the order of their first line in the file that counts, items in the order in which
/// they first occur in the histories of users 1, 2, 3, ..., attributes in the order in which they first occur
/// in items 1, 2, 3, ... So ids depend on the order of the users and on the histories, and not on how the
/// file interleaves them. Of items without an interaction only those have ids that are negatives: behind the
/// others, as they first occur in these.
struct Dataset {
  std::string name;                // "beauty"
  std::string source;              // the path it was read from
  std::vector<std::string> files;  // all that were read
  // The same data give the same hashes, whatever the format. Set where the data are read or made.
  std::uint64_t hash = 0;          // content_hash(): users, items and histories
  std::uint64_t feature_hash = 0;  // feature_hash() of host/data/feature_source.h: what deep backbones read
  std::uint64_t text_hash = 0;     // text_hash(): what scorers read
  TokenMap users, items, attributes;
  std::vector<std::int64_t> history_offsets;  // by user
  std::vector<Id> history;                    // items of a user, oldest first
  /// Items that the user was shown beside an entry of `history` and did not take. Entries of one moment share
  /// a group of `negatives`, from 1 on. All three empty: the data know of none.
  std::vector<std::int32_t> negative_group;    // by entry of history, 0: none
  std::vector<std::int64_t> negative_offsets;  // by group, from 0 on: [groups + 2]
  std::vector<Id> negatives;
  std::vector<std::string> titles;              // by item id; empty where the data have none
  std::vector<std::int64_t> attribute_offsets;  // by item
  std::vector<Id> item_attributes;
  std::vector<AttributeKind> attribute_kinds;  // of item_attributes; empty: all unlabelled
  std::vector<HeldOut> held_out;               // by user; empty: the data came without a split
  std::vector<std::string> notes;              // of the reading: what was left out or does not fit

  std::int64_t interactions() const { return static_cast<std::int64_t>(history.size()); }
  std::span<const Id> user_history(Id user) const {
    const auto first = static_cast<std::size_t>(history_offsets[static_cast<std::size_t>(user)]);
    const auto last = static_cast<std::size_t>(history_offsets[static_cast<std::size_t>(user) + 1]);
    return std::span(history).subspan(first, last - first);
  }
  /// What the user was shown and did not take beside the item at `position` of the history.
  std::span<const Id> negatives_at(Id user, std::int32_t position) const {
    if (negative_group.empty()) return {};
    const auto entry = static_cast<std::size_t>(history_offsets[static_cast<std::size_t>(user)]) +
                       static_cast<std::size_t>(position);
    const auto group = static_cast<std::size_t>(negative_group[entry]);
    const auto first = static_cast<std::size_t>(negative_offsets[group]);
    return std::span(negatives).subspan(first, static_cast<std::size_t>(negative_offsets[group + 1]) - first);
  }
  /// What a row at `position` of the user's history knows of it: the last `most` items before.
  std::span<const Id> history_before(Id user, std::int32_t position, int most) const {
    const auto before = user_history(user).first(static_cast<std::size_t>(position));
    return before.last(std::min(before.size(), static_cast<std::size_t>(most)));
  }
  std::span<const Id> attributes_of(Id item) const {
    const auto first = static_cast<std::size_t>(attribute_offsets[static_cast<std::size_t>(item)]);
    const auto last = static_cast<std::size_t>(attribute_offsets[static_cast<std::size_t>(item) + 1]);
    return std::span(item_attributes).subspan(first, last - first);
  }
  AttributeKind kind_of(std::size_t entry) const {
    return attribute_kinds.empty() ? AttributeKind::unlabelled : attribute_kinds[entry];
  }
};

/// Hash of the user tokens, the item tokens, the histories and their negatives, in id order, and of a split
/// that is not leave-one-out (64-bit FNV-1a). Equal hashes mean equal ids and the same training items, so
/// what was trained on one data set may be used on the other. Texts and attributes do not enter.
std::uint64_t content_hash(const Dataset& data);

/// Hash of each item's title and attributes, in id order: what prompts and scorers are made of. The ids are
/// content_hash()'s.
std::uint64_t text_hash(const Dataset& data);

}  // namespace sllmr
