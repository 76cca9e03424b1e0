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

/// Draws items 1 .. n_items, candidate by candidate until one will do: by an alias table, or uniformly.
struct ItemDraws {
  /// Draws of a search after which candidates are uniform: who has nearly all that is popular would wait for
  /// the rest of it for as long as there are interactions.
  static constexpr std::uint32_t weighted_draws = 64;

  const AliasCell* cells = nullptr;  // [n_items]; null: uniform
  std::int32_t n_items = 0;

  SLLMR_HD bool weighted(std::uint32_t of_draw) const { return cells != nullptr && of_draw < weighted_draws; }
  /// Items that the words of a search's draw `of_draw` stand for.
  SLLMR_HD int candidates(std::uint32_t of_draw) const { return weighted(of_draw) ? 2 : 4; }
  SLLMR_HD Id candidate(const Draw& draw, std::uint32_t of_draw, int k) const {
    return weighted(of_draw) ? weighted_item(draw, k) : uniform_item(draw.word[k]);
  }
  SLLMR_HD Id weighted_item(const Draw& draw, int k) const {
    const Id own = uniform_item(draw.word[2 * k]);
    const AliasCell cell = cells[own - 1];
    return draw.word[2 * k + 1] < cell.keep ? own : cell.other;
  }
  SLLMR_HD Id uniform_item(std::uint32_t word) const {
    return 1 + static_cast<Id>(below(word, static_cast<std::uint32_t>(n_items)));
  }
};

/// The alias table that draws item k + 1 in proportion to max(taken[k], 1)^power: an item that was never
/// taken counts as taken once. Empty where that is uniform, power = 0.
std::vector<AliasCell> alias_table(std::span<const std::int64_t> taken, double power);

}  // namespace sllmr
