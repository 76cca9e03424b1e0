#include "kernels/triple_sampler.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/permutation.h"
#include "kernels/exec/pipeline.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

struct SampledTriples {
  static constexpr int kBlock = 128;  // rows that wait for memory side by side
  static constexpr int kBatch = 512;  // rows of a thread's turn
  SampleTriples args;
  BlockPermutation order;

  /// What is known of rows before the memory that they will read has come.
  template <int Most>
  struct Block {
    std::int64_t first = 0, n = 0;  // rows of the launch
    std::uint64_t row[Most] = {};   // of the epoch
    std::uint64_t index[Most];      // of the interaction
    Id user[Most] = {}, negative[Most];
    std::uint32_t bit[Most];  // of the filter
  };

  /// The first of the row's draws that is not among the user's items.
  SLLMR_RARE Id search(std::uint64_t row, Id user) const {
    const ItemDraws& negatives = args.interactions.negatives;
    for (std::uint32_t block = 0;; ++block) {
      const Draw draw = philox(args.seed, args.epoch, row, Purpose::negative, block);
      for (int k = 0; k < negatives.candidates(block); ++k) {
        const Id item = negatives.candidate(draw, block, k);
        if (!args.interactions.has(user, item)) return item;
      }
    }
  }

  /// Which interactions: will be read next.
  template <int Most, class Lanes>
  SLLMR_INLINE void begin(Lanes, std::int64_t first, std::int64_t n, Block<Most>& block) const {
    block.first = first;
    block.n = n;
    const auto row = static_cast<std::uint64_t>(args.first_row + first);
    for (int k = 0; k < Most; ++k) block.row[k] = row + static_cast<std::uint64_t>(k);
    order.take<Most>(row, n, block.index);
    if constexpr (Lanes::prefetches) {
      for (std::int64_t k = 0; k < n; ++k) Lanes::prefetch(args.interactions.rows + block.index[k]);
    }
  }
  /// Users and positives, and every row's first draw, on the CPU in vectors. Of the filter will be read next.
  template <int Most, class Lanes>
  SLLMR_INLINE void draw(Lanes, Block<Most>& block) const {
    const InteractionView& interactions = args.interactions;
    Triple* out = args.out + block.first;
    for (int k = 0; k < (Most == 1 ? 1 : block.n); ++k) {
      const Interaction& row = interactions.rows[block.index[k]];
      block.user[k] = row.user;
      out[k].user = row.user;
      out[k].positive = row.item;
    }
    const ItemDraws negatives = interactions.negatives;
    const auto draw_each = [&](const auto& item_of) {
      side_by_side<Most>([&](int k) {
        block.negative[k] = item_of(philox(args.seed, args.epoch, block.row[k], Purpose::negative));
        block.bit[k] = interactions.filter.bit_of(block.user[k], block.negative[k]);
      });
    };
    if (negatives.cells == nullptr) {
      draw_each([&](const Draw& draw) { return negatives.uniform_item(draw.word[0]); });
    } else {
      draw_each([&](const Draw& draw) { return negatives.weighted_item(draw, 0); });
    }
    if constexpr (Lanes::prefetches) {
      for (std::int64_t k = 0; k < block.n; ++k)
        Lanes::prefetch(interactions.filter.words + block.bit[k] / 32);
    }
  }
  /// The negatives.
  template <int Most, class Lanes>
  SLLMR_INLINE void finish(Lanes, const Block<Most>& block) const {
    const InteractionView& interactions = args.interactions;
    Triple* out = args.out + block.first;
    const auto check = [&](int k) {
      if (!interactions.has(block.user[k], block.negative[k])) return;
      out[k].negative = search(block.row[k], block.user[k]);
    };
    if constexpr (Most == 1) {
      out->negative = block.negative[0];
      if (interactions.filter.is_set(block.bit[0])) check(0);
    } else {
      int maybe[Most];  // those that the filter does not clear
      int n_maybe = 0;
      for (int k = 0; k < block.n; ++k) {
        out[k].negative = block.negative[k];
        maybe[n_maybe] = k;
        n_maybe += interactions.filter.is_set(block.bit[k]) ? 1 : 0;
      }
      for (int m = 0; m < n_maybe; ++m) Lanes::prefetch(interactions.offsets + block.user[maybe[m]]);
      for (int m = 0; m < n_maybe; ++m) check(maybe[m]);
    }
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t first, std::int64_t count) const {
    in_three_steps<Block, kBlock>(
        lanes, first, count,
        [&](std::int64_t at, std::int64_t n, auto& block) { begin(lanes, at, n, block); },
        [&](auto& block) { draw(lanes, block); }, [&](const auto& block) { finish(lanes, block); });
  }
};

void run_here(const Context& context, const SampleTriples& args) {
  const BlockPermutation order(args.seed, args.epoch, static_cast<std::uint64_t>(args.interactions.n),
                               static_cast<std::uint64_t>(args.block_rows));
  launch_batches<1>(context, "sample_triples", args.count, SampledTriples::kBatch,
                    SampledTriples{args, order});
}

}  // namespace

SLLMR_KERNEL(SampleTriples)

}  // namespace sllmr
