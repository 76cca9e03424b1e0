// Which scores of a table llm.noise replaces: drawn by seed, user and item, so that a kernel can tell too.
#pragma once

#include <cmath>

#include "kernels/exec/random.h"
#include "kernels/exec/types.h"

namespace sllmr {

/// A share of the scores of a slice, each drawn independently.
struct NoiseShare {
  std::uint32_t below = 0;  // of 2^24 words
  bool warm_only = false;   // of users that are not cold
  bool head_only = false;   // of items that are not of the tail

  NoiseShare() = default;
  NoiseShare(double share, bool of_warm, bool of_head)
      : below(static_cast<std::uint32_t>(std::ceil(share * 0x1p24))),
        warm_only(of_warm),
        head_only(of_head) {}

  /// Of the score whose noise_draw() has this word 0.
  SLLMR_HD bool replaces(std::uint32_t word, bool cold, bool tail) const {
    return !(warm_only && cold) && !(head_only && tail) && (word >> 8) < below;
  }
};

/// Word 0 says whether noise replaces the score, the others are what replaces it.
SLLMR_HD inline Draw noise_draw(std::uint64_t seed, Id user, Id item) {
  return philox(seed, static_cast<std::uint32_t>(user), static_cast<std::uint64_t>(item), Purpose::noise);
}

}  // namespace sllmr
