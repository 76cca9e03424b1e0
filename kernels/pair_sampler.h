// Which LLM pairs the training rows take. Rows are masked first: a row that draws none touches no LLM memory.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/choices.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/run.h"
#include "kernels/exec/sort.h"
#include "kernels/triple_sampler.h"

namespace sllmr {

struct ScoredItem {
  Id item;
  float score;  // in [0, 1]
};

/// The score table on the device: CSR by user, a user's entries sorted by score, highest first.
struct ScoreView {
  const std::int64_t* offsets = nullptr;       // [users + 1]
  const ScoredItem* entries = nullptr;         // an item beside its score: both are read, or neither
  const std::int32_t* probe = nullptr;         // [users]: index among the user's entries, -1: none
  const std::int64_t* pair_offsets = nullptr;  // [users + 1]: each user's pairs of largest score difference
  const std::uint16_t* pair_first = nullptr;   // indexes among the user's entries, the higher score first
  const std::uint16_t* pair_second = nullptr;
  /// What a probe may be compared with; null: all. A user's first list is no more popular than the probe, the
  /// second no less. [2 users + 1]
  const std::int64_t* match_offsets = nullptr;
  const std::uint16_t* matches = nullptr;  // indexes among the user's entries
};

/// A share in [0, 1] as 32-bit fixed point, spread evenly: over any n rows it selects floor or ceil of share
/// * n.
struct Share {
  std::uint64_t fixed = 0;

  static Share of(double share) { return {static_cast<std::uint64_t>(std::llround(share * 0x1p32))}; }
  /// How many of the rows before `row` are selected; also the ordinal of `row` if it is.
  SLLMR_HD std::uint64_t count_before(std::uint64_t row) const { return (row * fixed) >> 32; }
  /// How many of rows first .. first + n - 1 are selected.
  SLLMR_HD std::int64_t count(std::int64_t first, std::int64_t n) const {
    return static_cast<std::int64_t>(count_before(static_cast<std::uint64_t>(first + n)) -
                                     count_before(static_cast<std::uint64_t>(first)));
  }
  /// Does count_before grow with this row? It does when the product's low half wraps around.
  SLLMR_HD bool selects(std::uint64_t row) const {
    return static_cast<std::uint32_t>((row + 1) * fixed) < fixed;
  }
  /// The row whose ordinal is `ordinal`: the inverse of count_before on selected rows.
  SLLMR_HD std::uint64_t row_of(std::uint64_t ordinal) const {
    return (((ordinal + 1) << 32) + fixed - 1) / fixed - 1;
  }
  /// Rows from one selected row to the next, on average.
  double gap() const { return 0x1p32 / static_cast<double>(fixed); }
  /// row_of, given gap(): a product that is off by one at most, in place of a division of integers, for which
  /// a GPU has no instruction.
  SLLMR_HD std::uint64_t row_of(std::uint64_t ordinal, double gap) const {
    auto row = static_cast<std::uint64_t>(static_cast<double>(ordinal + 1) * gap);
    if (count_before(row + 1) <= ordinal) ++row;
    if (count_before(row) > ordinal) --row;
    return row;
  }
};

/// Walks along the rows that a share above 0 selects, as Share::row_of tells them, without its division.
class SelectedRows {
 public:
  SLLMR_HD SelectedRows(Share share, std::uint64_t ordinal)
      : fixed_(share.fixed), row_(share.row_of(ordinal)), gap_(kOne / fixed_), gap_rest_(kOne % fixed_) {
    rest_ = (((ordinal + 1) << 32) + fixed_ - 1) % fixed_;
  }
  SLLMR_HD std::uint64_t row() const { return row_; }
  SLLMR_HD void next() {
    row_ += gap_;
    rest_ += gap_rest_;
    if (rest_ >= fixed_) {
      rest_ -= fixed_;
      ++row_;
    }
  }

 private:
  static constexpr std::uint64_t kOne = std::uint64_t{1} << 32;
  std::uint64_t fixed_, row_, gap_, gap_rest_, rest_;
};

struct PairPolicy {
  PairChoice choice = PairChoice::sampled;
  Share
      pair_rate;  // share of the rows that draw a pair; rows come shuffled, so an even spread is a random one
  Share probe_rate;  // share of those rows that also draw a probe pair, for the gate alone
};

/// +1 if the LLM scores `a` higher than `b`, -1 if lower, 0 if tied.
SLLMR_INLINE float agreement_of(float score_a, float score_b) {
  return score_a > score_b ? 1.0F : score_a < score_b ? -1.0F : 0.0F;
}

/// Two scored items of one user. On a guiding pair `a` has the higher score; on a probe pair `a` is the
/// probe.
struct LlmPair {
  Id a, b;                 // 0: no pair
  float score_a, score_b;  // t(u,a), t(u,b) in [0, 1]

  SLLMR_HD float gap() const { return score_a < score_b ? score_b - score_a : score_a - score_b; }
  SLLMR_HD float agreement() const { return agreement_of(score_a, score_b); }
};

/// What one selected row takes: a pair for the model and, on some rows, a probe pair for the gate alone.
struct RowPairs {
  LlmPair guide, probe;
};

/// Pairs of the selected ones among rows first_row .. first_row + count - 1 of the epoch; `out` is dense: the
/// n-th selected row's pairs are out[n]. The guiding pair has different scores: one of the user's largest
/// differences, or two entries drawn uniformly (a few tries, since scores tie). Probe pairs compare the
/// user's probe with another candidate, drawn uniformly among all, or among one of its two lists of matches,
/// either as often as the other; who lacks one draws no probe.
struct SamplePairs {
  ScoreView scores;
  PairPolicy policy;
  std::uint64_t seed;
  std::uint32_t epoch;
  std::int64_t first_row, count;
  const Triple* triples;  // [count]
  RowPairs* out;
};

/// Ascending integer keys for descending gaps of guiding pairs; a gap is in [0, 1].
struct GapKeys {
  const RowPairs* pairs;  // [count]
  std::int64_t count;
  std::int32_t* keys;  // [count]
};

/// Makes none of guiding pairs order[0], order[1], ...
struct DropPairs {
  const std::int32_t* order;  // [count] into `pairs`
  std::int64_t count;
  RowPairs* pairs;
};

/// The paper's limit of pairs a batch: of `pairs` [count], only the `keep` guiding pairs with the largest gap
/// stay (ties: the earlier row), the others become none. Probe pairs stay.
class LargestPairs {
 public:
  LargestPairs(const Context& context, std::int64_t max_count);
  void keep(const Context& context, RowPairs* pairs, std::int64_t count, std::int64_t keep);

 private:
  KeySort sort_;
  Buffer<std::int32_t> keys_, sorted_keys_, order_;  // [max_count]
};

}  // namespace sllmr
