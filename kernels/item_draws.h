// Which item a random number stands for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/exec/random.h"
#include "kernels/exec/types.h"

namespace sllmr {

/// A cell of Walker's alias table (Vose 1991): the cell's own item where a uniform word is below `keep`, else
/// the other one.
struct AliasCell {
  std::uint32_t keep;
  Id other;
};

/// Draws items 1 .. n_items: by an alias table, or uniformly.
struct ItemDraws {
  const AliasCell* cells = nullptr;  // [n_items]; null: uniform
  std::int32_t n_items = 0;

  /// Items that the words of one draw stand for.
  SLLMR_HD int candidates() const { return cells != nullptr ? 2 : 4; }
  SLLMR_HD Id candidate(const Draw& draw, int k) const {
    if (cells == nullptr) return uniform_item(draw.word[k]);
    const Id own = uniform_item(draw.word[2 * k]);
    const AliasCell cell = cells[own - 1];
    return draw.word[2 * k + 1] < cell.keep ? own : cell.other;
  }
  SLLMR_HD Id uniform_item(std::uint32_t word) const {
    return 1 + static_cast<Id>(below(word, static_cast<std::uint32_t>(n_items)));
  }
};

/// The alias table that draws item k + 1 in proportion to max(taken[k], 1)^power: of items that are taken
/// never, none is left out. Empty where that is uniform, power = 0.
std::vector<AliasCell> alias_table(std::span<const std::int64_t> taken, double power);

}  // namespace sllmr
