// Negatives that are drawn anew in every epoch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/config/config.h"
#include "host/data/split.h"
#include "host/eval/ctr.h"
#include "kernels/item_draws.h"

namespace sllmr {

class FreshNegatives {
 public:
  /// Over the catalogue, by train.negative_power. Keeps references.
  FreshNegatives(const Config& config, const Split& split);

  /// Gives every second row of `rows`, each after its positive, an item of Dataset::negatives or, where there
  /// is none beside the positive, one that the user does not have in training. It depends on (seed, epoch,
  /// row) alone.
  void draw(std::uint32_t epoch, std::span<CtrRow> rows) const;

 private:
  const Config& config_;
  const Split& split_;
  std::vector<AliasCell> cells_;  // empty: uniform
};

}  // namespace sllmr
