// Shuffling without memory.
#pragma once

#include <cstdint>

#include "kernels/exec/loops.h"
#include "kernels/exec/random.h"

namespace sllmr {

/// A pseudo-random permutation of {0, ..., n - 1} that needs no memory: a Feistel network over the next power
/// of four, walked until it lands inside. Keyed by (seed, epoch), so every epoch visits the rows in another
/// order.
class Permutation {
 public:
  SLLMR_HD Permutation(std::uint64_t seed, std::uint32_t epoch, std::uint64_t n) : n_(n) {
    while ((std::uint64_t{1} << (2 * half_bits_)) < n) ++half_bits_;
    const Draw keys = philox(seed, epoch, 0, Purpose::shuffle);
    for (int k = 0; k < kRounds; ++k) key_[k] = keys.word[k];
  }
  SLLMR_HD std::uint64_t operator()(std::uint64_t index) const {
    do index = cycle(index);
    while (index >= n_);
    return index;
  }

  /// to[k] = operator()(first + k) for k < count, which is at most Most: on the CPU in vectors.
  template <int Most>
  SLLMR_INLINE void take(std::uint64_t first, std::int64_t count, std::uint64_t* to) const {
    if constexpr (Most == 1) {
      *to = (*this)(first);
    } else if (half_bits_ <= 16) {
      walk<Most, std::uint32_t>(first, count, to);
    } else {
      walk<Most, std::uint64_t>(first, count, to);
    }
  }

 private:
  static constexpr int kRounds = 4;

  /// `Word` holds 2 half_bits_ bits.
  template <class Word>
  SLLMR_HD Word cycle(Word index) const {
    const std::uint32_t mask = static_cast<std::uint32_t>((std::uint64_t{1} << half_bits_) - 1);
    std::uint32_t left = static_cast<std::uint32_t>(index >> half_bits_),
                  right = static_cast<std::uint32_t>(index) & mask;
    SLLMR_UNROLL
    for (int k = 0; k < kRounds; ++k) {
      // The finaliser of MurmurHash3: every input bit reaches every output bit.
      std::uint32_t h = right + key_[k];
      h = (h ^ (h >> 16)) * 0x85EBCA6BU;
      h = (h ^ (h >> 13)) * 0xC2B2AE35U;
      h ^= h >> 16;
      const std::uint32_t next = left ^ (h & mask);
      left = right;
      right = next;
    }
    return (static_cast<Word>(left) << half_bits_) | right;
  }

  /// Everyone takes a step; those who have landed leave, and the others close ranks.
  template <int Most, class Word>
  SLLMR_INLINE void walk(std::uint64_t first, std::int64_t count, std::uint64_t* to) const {
    Word at[Most];
    std::int32_t who[Most];
    for (int k = 0; k < Most; ++k) {
      at[k] = static_cast<Word>(first + static_cast<std::uint64_t>(k));
      who[k] = k;
    }
    for (int walking = static_cast<int>(count); walking > 0;) {
      const int steps = (walking + 7) & ~7;  // whole vectors
      SLLMR_ROW_LOOP
      for (int k = 0; k < steps; ++k) at[k] = cycle(at[k]);
      int outside = 0;
      for (int k = 0; k < walking; ++k) {  // without a branch, which nobody could predict
        const Word landed = at[k];
        const std::int32_t of = who[k];
        to[of] = landed;
        at[outside] = landed;
        who[outside] = of;
        outside += landed >= n_ ? 1 : 0;
      }
      walking = outside;
    }
  }

  std::uint64_t n_;
  int half_bits_ = 1;
  std::uint32_t key_[kRounds];
};

/// A permutation of {0, ..., n - 1} that stays among neighbours for a while: of blocks of `block` indices,
/// and within each, the same in all. Blocks begin elsewhere in every epoch, and what is left behind the last
/// whole one comes last. `block` of 0: a Permutation.
class BlockPermutation {
 public:
  SLLMR_HD BlockPermutation(std::uint64_t seed, std::uint32_t epoch, std::uint64_t n, std::uint64_t block)
      : n_(n),
        block_(block == 0 || block > n ? (n > 1 ? n : 1) : block),
        blocks_(n / block_),
        begin_(block_ >= n ? 0 : philox(seed, epoch, 1, Purpose::shuffle).word[0] % n),
        of_blocks_(seed, epoch, blocks_),
        within_(seed, epoch, block_),
        rest_(seed, epoch, n % block_) {}

  SLLMR_HD std::uint64_t operator()(std::uint64_t index) const {
    if (block_ == n_) return within_(index);
    const std::uint64_t block = index / block_, place = index % block_;
    if (block < blocks_) return around(of_blocks_(block) * block_ + within_(place) + begin_);
    return around(block * block_ + rest_(place) + begin_);
  }

  /// As Permutation::take().
  template <int Most>
  SLLMR_INLINE void take(std::uint64_t first, std::int64_t count, std::uint64_t* to) const {
    if constexpr (Most == 1) {
      *to = (*this)(first);
      return;
    }
    if (block_ == n_) return within_.take<Most>(first, count, to);
    while (count > 0) {
      const std::uint64_t block = first / block_, place = first % block_;
      const bool whole = block < blocks_;
      const std::uint64_t start = (whole ? of_blocks_(block) : block) * block_ + begin_;
      const auto left = static_cast<std::int64_t>(block_ - place), some = count < left ? count : left;
      (whole ? within_ : rest_).take<Most>(place, some, to);
      for (std::int64_t k = 0; k < some; ++k) to[k] = around(to[k] + start);
      first += static_cast<std::uint64_t>(some);
      count -= some;
      to += some;
    }
  }

 private:
  /// `index` is at most 2 n - 1.
  SLLMR_HD std::uint64_t around(std::uint64_t index) const { return index < n_ ? index : index - n_; }

  std::uint64_t n_, block_, blocks_, begin_;
  Permutation of_blocks_, within_, rest_;
};

}  // namespace sllmr
