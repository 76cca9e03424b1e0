// Ranks by inner products on the CPU without most of the products: numbers of 8 bits decide where an item
// stands against the positive one, and only what they leave open is computed in float.
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/ranking.h"

namespace sllmr {

/// Whom to rank against what; as in RankingTile, in the host's memory.
struct RankedUsers {
  const Id* users;  // [n] rows of the users' table
  std::int64_t n;
  const Id* positives;                   // [n]; 0: not among these items
  const std::int64_t* excluded_offsets;  // [n + 1] into `excluded`
  const Id* excluded;
  const float* positive_scores = nullptr;  // [n]; null: as score() tells them
};

/// The items of an inner-product model, rounded to 8 bits in blocks of 16 that share a scale.
///
/// With u = u' + du and v = v' + dv for what rounding leaves, |u.v - u'.v'| <= |du| |v| + |u'| |dv| by
/// Cauchy and Schwarz: a score whose rounded form is further than that from the positive's score is decided.
/// The counts are those of the scores in float, to the last one, whose terms are added in an order that
/// depends on the width alone.
class ScreenedItems {
 public:
  static constexpr std::int64_t kWidthMultiple = 16, kMostWidth = 1024;
  /// Whether this processor multiplies bytes (AVX-512 with VNNI) and rows of `width` are made for it.
  /// Without, nothing else here may be called.
  static bool supports(std::int64_t width);

  /// `items` [rows x width], kept by reference; row 0 is padding. The context's threads share the work.
  ScreenedItems(const Context& context, const Matrix<const float>& items);

  /// users.row(u) . items.row(item) in the order of terms that count() has.
  float score(const float* user, Id item) const;
  /// out [n]: what CountRanks makes of the scores users.row(u) . items.row(i). Runs on the calling thread;
  /// several may call it at once. Throws Interrupted when the process is asked to stop.
  void count(const Matrix<const float>& users, const RankedUsers& of, RankCounts* out) const;

 private:
  class Tile;

  void round_block(std::int64_t block);

  Matrix<const float> items_;
  std::int64_t blocks_;           // even
  bool regular_ = true;           // all numbers are finite, and small enough for the bounds
  Buffer<std::uint8_t> numbers_;  // [blocks x width / 4 x 16 x 4], 128 more than the rounded number
  Buffer<float> per_scale_;       // [blocks] 1 / scale
  Buffer<float> norms_;           // [blocks] largest |v|; infinite where a number is not regular
  Buffer<float> residuals_;       // [blocks] largest |dv|
};

}  // namespace sllmr
