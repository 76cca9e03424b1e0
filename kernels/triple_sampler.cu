#include "kernels/triple_sampler.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/permutation.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

struct SampledTriples {
  static constexpr int kBatch = 128;

  SampleTriples args;
  Permutation order;

  SLLMR_HD Id item_of(std::uint32_t word) const {
    return 1 + static_cast<Id>(below(word, static_cast<std::uint32_t>(args.interactions.n_items)));
  }

  /// What is known of rows before the memory that they will read has come, side by side.
  template <int Most>
  struct Plan {
    std::uint64_t row[Most];    // of the epoch
    std::uint64_t index[Most];  // of the interaction
    Id user[Most], negative[Most];
    std::uint32_t bit[Most];  // of the filter
  };

  /// The first of the row's draws that is not among the user's items.
  SLLMR_RARE Id search(std::uint64_t row, Id user) const {
    for (std::uint32_t block = 0;; ++block) {
      const Draw draw = philox(args.seed, args.epoch, row, Purpose::negative, block);
      for (const std::uint32_t word : draw.word) {
        const Id item = item_of(word);
        if (!args.interactions.has(user, item)) return item;
      }
    }
  }

  /// Every row's first draw: on the CPU in vectors.
  template <int Most>
  SLLMR_INLINE void draw_negatives(Plan<Most>& plan) const {
    side_by_side<Most>([&](int k) {
      plan.negative[k] = item_of(philox(args.seed, args.epoch, plan.row[k], Purpose::negative).word[0]);
      plan.bit[k] = args.interactions.filter.bit_of(plan.user[k], plan.negative[k]);
    });
  }

  /// In passes, as each reads from memory where the next will read.
  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t begin, std::int64_t count) const {
    constexpr int kMost = Lanes::prefetches ? kBatch : 1;
    const InteractionView& interactions = args.interactions;
    const std::int64_t n = kMost == 1 ? 1 : count;
    Plan<kMost> plan;
    const auto first = static_cast<std::uint64_t>(args.first_row + begin);
    for (int k = 0; k < kMost; ++k) {
      plan.row[k] = first + static_cast<std::uint64_t>(k);
      plan.user[k] = 0;
    }
    order.take<kMost>(first, n, plan.index);
    if constexpr (Lanes::prefetches) {
      for (std::int64_t k = 0; k < n; ++k) Lanes::prefetch(interactions.rows + plan.index[k]);
    }
    Triple* out = args.out + begin;
    for (std::int64_t k = 0; k < n; ++k) {
      const Interaction& row = interactions.rows[plan.index[k]];
      plan.user[k] = row.user;
      out[k].user = row.user;
      out[k].positive = row.item;
    }
    draw_negatives(plan);
    if constexpr (Lanes::prefetches) {
      for (std::int64_t k = 0; k < n; ++k) Lanes::prefetch(interactions.filter.words + plan.bit[k] / 32);
    }
    int maybe[kMost];  // those that the filter does not clear
    int n_maybe = 0;
    for (int k = 0; k < n; ++k) {
      out[k].negative = plan.negative[k];
      maybe[n_maybe] = k;
      n_maybe += interactions.filter.is_set(plan.bit[k]) ? 1 : 0;
    }
    if constexpr (Lanes::prefetches) {
      for (int m = 0; m < n_maybe; ++m) Lanes::prefetch(interactions.offsets + plan.user[maybe[m]]);
    }
    for (int m = 0; m < n_maybe; ++m) {
      const int k = maybe[m];
      if (!interactions.has(plan.user[k], plan.negative[k])) continue;
      out[k].negative = search(plan.row[k], plan.user[k]);
    }
  }
};

void run_here(const Context& context, const SampleTriples& args) {
  const Permutation order(args.seed, args.epoch, static_cast<std::uint64_t>(args.interactions.n));
  launch_batches<1>(context, "sample_triples", args.count, SampledTriples::kBatch,
                    SampledTriples{args, order});
}

}  // namespace

SLLMR_KERNEL(SampleTriples)

}  // namespace sllmr
