// Sums of rows that do not depend on who adds up what.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// out[k] = sum over p < parts of row index[k][p] of `from`, as a binary tree: neighbours first, then
/// neighbouring pairs, and so on, so that whoever adds up an aligned half, quarter, ... of the parts
/// beforehand changes no bit. Parts without a row are left out of the sum, and a row without any part is 0.
/// `parts` is a power of two.
template <class Real>
struct TreeSums {
  static constexpr int kMostParts = 64;
  std::int64_t n;
  int parts;
  const std::int32_t* index;  // [n x parts]; -1: no row
  Matrix<const Real> from;
  Matrix<Real> out;  // [n x columns of from]
};

/// Throws Error unless 1 <= parts <= TreeSums::kMostParts is a power of two; `what` are they?
inline void require_tree_parts(int parts, const std::string& what) {
  require(
      parts >= 1 && parts <= TreeSums<float>::kMostParts && std::has_single_bit(static_cast<unsigned>(parts)),
      what + " must be 1, 2, 4, 8, 16, 32 or 64, not " + std::to_string(parts));
}

}  // namespace sllmr
