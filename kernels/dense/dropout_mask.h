// Inverted dropout with counter-based masks: which elements are kept depends on (seed, step, layer, row,
// column) alone.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/exec/loops.h"
#include "kernels/exec/matrix.h"
#include "kernels/exec/random.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// Beyond it a mask's 16 bits keep nothing.
inline constexpr double kMostDropout = 1 - 0x1p-16;

/// The mask of one layer in one step. One draw serves eight neighbouring columns, 16 bits each, so p is
/// rounded to a multiple of 2^-16 (and the scale is that of the rounded p).
template <class Real>
struct DropoutMask {
  static constexpr int kGroup = 8;

  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t layer = 0;    // below 2^24
  std::uint32_t dropped = 0;  // of 2^16; 0: everything is kept
  Real scale = 1;             // of what is kept: 1 / (1 - p)

  DropoutMask() = default;
  DropoutMask(double p, std::uint64_t of_seed, std::uint32_t of_step, std::uint32_t of_layer)
      : seed(of_seed), step(of_step), layer(of_layer) {
    require(p >= 0 && p <= kMostDropout, "a dropout probability must be at least 0 and below 1");
    dropped = static_cast<std::uint32_t>(std::lround(p * 0x1p16));
    scale = static_cast<Real>(0x1p16 / (0x1p16 - dropped));
  }

  bool active() const { return dropped != 0; }
  SLLMR_HD bool kept(std::int64_t row, std::int64_t column) const {
    return bits_of(draw(row, column / kGroup), static_cast<int>(column % kGroup)) >= dropped;
  }
  /// Calls body(column, kept) for the columns of a row that this lane owns. Bodies of a row are independent.
  template <class Lanes, class Body>
  SLLMR_HD void for_row(Lanes lanes, std::int64_t row, std::int64_t cols, const Body& body) const {
    if constexpr (Lanes::size == 1) {
      for (std::int64_t first = 0; first < cols; first += kGroup) {
        const Draw of_group = draw(row, first / kGroup);
        std::uint32_t bits[kGroup];
        for (int k = 0; k < kGroup; ++k) bits[k] = bits_of(of_group, k);
        if (first + kGroup <= cols) {
          SLLMR_ROW_LOOP
          for (int k = 0; k < kGroup; ++k) body(first + k, bits[k] >= dropped);
        } else {
          for (int k = 0; first + k < cols; ++k) body(first + k, bits[k] >= dropped);
        }
      }
    } else {
      // Neighbouring lanes draw the same words: cheaper than memory accesses eight columns apart.
      for (std::int64_t column = lanes.lane(); column < cols; column += Lanes::size) {
        body(column, kept(row, column));
      }
    }
  }

 private:
  /// For columns kGroup * group .. kGroup * group + kGroup - 1 of a row.
  SLLMR_HD Draw draw(std::int64_t row, std::int64_t group) const {
    return philox(seed, step, (static_cast<std::uint64_t>(row) << 24) | static_cast<std::uint64_t>(group),
                  Purpose::dropout, layer);
  }
  /// The 16 bits of column k of the group.
  static SLLMR_HD std::uint32_t bits_of(const Draw& draw_of_group, int k) {
    return (draw_of_group.word[k / 2] >> (16 * (k % 2))) & 0xFFFFU;
  }
};

/// out = x * scale where the mask keeps it, 0 elsewhere; `kept` [the same shape], unless empty, gets 1 and 0.
template <class Real>
struct Drop {
  Matrix<const Real> x;
  DropoutMask<Real> mask;
  Matrix<Real> out;
  Matrix<std::uint8_t> kept;
};

/// d_out becomes the gradient of Drop's x. On the CPU reading `kept` takes a fraction of the time of drawing
/// the mask again.
template <class Real>
struct DropBackward {
  Matrix<Real> d_out;
  Matrix<const std::uint8_t> kept;
  Real scale;
};

}  // namespace sllmr
