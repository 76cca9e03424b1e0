// The training interactions on the device, as samplers read them.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/exec/memory.h"
#include "kernels/exec/types.h"
#include "kernels/item_draws.h"

namespace sllmr {

/// A user took an item; ids from 1.
struct Interaction {
  Id user, item;
};

/// A filter over (user, item) pairs: a bit that pairs share by their hash. Clear: the pair is not among them.
/// Set: it may be. One in sixteen at most is set, up to 2^28 pairs; around users with more than 2^15 items
/// more.
struct PairFilter {
  const std::uint32_t* words = nullptr;  // [2^log2_bits / 32]
  int log2_bits = 5;
  int log2_window = 5;         // of bits that may be a user's
  std::uint32_t per_user = 1;  // from the beginning of its window to that of the next user's

  /// Bits of users with ids next to each other lie side by side.
  SLLMR_HD std::uint32_t bit_of(Id user, Id item) const {
    std::uint32_t h = static_cast<std::uint32_t>(item) * 0x85EBCA6BU;
    h = ((h ^ (h >> 15)) + static_cast<std::uint32_t>(user)) * 0xC2B2AE35U;
    h = (h ^ (h >> 13)) * 0x9E3779B1U;
    const std::uint32_t mask = log2_bits == 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << log2_bits) - 1;
    return (static_cast<std::uint32_t>(user) * per_user + (h >> (32 - log2_window))) & mask;
  }
  SLLMR_HD bool is_set(std::uint32_t bit) const { return (words[bit / 32] >> (bit % 32) & 1) != 0; }
};

struct InteractionView {
  const Interaction* rows = nullptr;      // [n]
  const std::int64_t* offsets = nullptr;  // [user rows + 1] into sorted_items
  const Id* sorted_items = nullptr;       // items of each user, ascending, each once
  PairFilter filter;                      // of the rows
  std::int64_t n = 0;
  ItemDraws negatives;  // over all real items

  /// Is (user, item) among the rows?
  SLLMR_HD bool has(Id user, Id item) const {
    const Id* begin = sorted_items + offsets[user];
    const Id* end = sorted_items + offsets[user + 1];
    while (begin < end) {
      const Id* middle = begin + (end - begin) / 2;
      if (*middle == item) return true;
      if (*middle < item) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    return false;
  }
};

/// What an InteractionView shows.
class InteractionIndex {
 public:
  InteractionIndex() = default;
  /// items[offsets[u] .. offsets[u + 1]) are those of user u, in any order; one may come several times. Real
  /// items have ids 1 .. n_items; negatives are drawn by how often an item comes to the power of
  /// `negative_power`, as alias_table() does.
  InteractionIndex(const Context& context, std::span<const std::int64_t> offsets, std::span<const Id> items,
                   std::int32_t n_items, double negative_power = 0);

  const InteractionView& view() const { return view_; }
  /// A user who has every item, for whom no negative can be drawn; 0: none has.
  Id user_of_all_items() const { return user_of_all_items_; }

 private:
  Buffer<Interaction> rows_;
  Buffer<std::int64_t> offsets_;
  Buffer<Id> sorted_items_;
  Buffer<std::uint32_t> filter_;
  Buffer<AliasCell> negatives_;
  InteractionView view_;
  Id user_of_all_items_ = 0;
};

}  // namespace sllmr
