#include "kernels/pair_sampler.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

struct SamplePairs {
  ScoreView view;
  PairPolicy policy;
  std::uint64_t seed;
  std::uint32_t epoch;
  std::int64_t first_row;
  std::uint64_t first_ordinal;
  std::int64_t count;
  const Triple* triples;
  RowPairs* out;

  SLLMR_HD LlmPair compare(std::int64_t a, std::int64_t b) const {
    const float difference = view.scores[a] - view.scores[b];
    const float agreement = difference > 0 ? 1.0F : difference < 0 ? -1.0F : 0.0F;
    return {view.items[a], view.items[b], difference < 0 ? -difference : difference, agreement};
  }

  SLLMR_HD LlmPair guide(std::uint64_t row, Id user, std::int64_t first, std::uint32_t entries) const {
    if (policy.choice == PairChoice::largest) {
      const std::int64_t at = view.pair_offsets[user];
      const auto pairs = static_cast<std::uint32_t>(view.pair_offsets[user + 1] - at);
      if (pairs == 0) return {};
      const std::int64_t pick = at + below(philox(seed, epoch, row, Purpose::pair_choice).word[0], pairs);
      return compare(first + view.pair_first[pick], first + view.pair_second[pick]);
    }
    constexpr std::uint32_t kDraws = 4;  // of two tries each
    for (std::uint32_t block = 0; block < kDraws; ++block) {
      const Draw draw = philox(seed, epoch, row, Purpose::pair_choice, block);
      for (int k = 0; k < 4; k += 2) {
        const std::uint32_t x = below(draw.word[k], entries);
        std::uint32_t y = below(draw.word[k + 1], entries - 1);
        if (y >= x) ++y;
        const LlmPair pair = compare(first + (x < y ? x : y), first + (x < y ? y : x));
        if (pair.agreement > 0) return pair;
      }
    }
    return {};
  }

  SLLMR_HD LlmPair probe(std::uint64_t row, Id user, std::int64_t first, std::uint32_t entries) const {
    const std::int32_t at = view.probe[user];
    if (at < 0) return {};
    std::uint32_t other = below(philox(seed, epoch, row, Purpose::probe).word[0], entries - 1);
    if (other >= static_cast<std::uint32_t>(at)) ++other;
    return compare(first + at, first + other);
  }

  SLLMR_HD Id user_of(std::uint64_t row) const {
    return triples[static_cast<std::int64_t>(row) - first_row].user;
  }

  /// Asks for a later pair's entries, in two steps, as their place must be known first.
  template <class Lanes>
  SLLMR_INLINE void prefetch(std::int64_t n) const {
    constexpr std::int64_t kEntriesAhead = 8, kOffsetsAhead = 16;
    if (n + kOffsetsAhead >= count) return;
    const auto later = [&](std::int64_t ahead) {
      return user_of(policy.pair_rate.row_of(first_ordinal + static_cast<std::uint64_t>(n + ahead)));
    };
    Lanes::prefetch(view.offsets + later(kOffsetsAhead));
    const Id user = later(kEntriesAhead);
    Lanes::prefetch(view.probe + user);
    for (std::int64_t entry = view.offsets[user]; entry < view.offsets[user + 1]; entry += 16) {
      Lanes::prefetch(view.items + entry);
      Lanes::prefetch(view.scores + entry);
    }
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t n) const {
    if constexpr (Lanes::prefetches) prefetch<Lanes>(n);
    const std::uint64_t ordinal = first_ordinal + static_cast<std::uint64_t>(n);
    const std::uint64_t row = policy.pair_rate.row_of(ordinal);
    const Id user = user_of(row);
    const std::int64_t first = view.offsets[user];
    const auto entries = static_cast<std::uint32_t>(view.offsets[user + 1] - first);
    RowPairs pairs{};
    if (entries >= 2) {
      pairs.guide = guide(row, user, first, entries);
      if (policy.probe_rate.selects(ordinal)) pairs.probe = probe(row, user, first, entries);
    }
    out[n] = pairs;
  }
};

/// Ascending integer keys for descending gaps; a gap is in [0, 1].
struct GapKeys {
  const RowPairs* pairs;
  std::int32_t* keys;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t k) const {
    const float rest = 1.0F - pairs[k].guide.gap;
    keys[k] =
        pairs[k].guide.a == 0 ? 0x7FFFFFFF : static_cast<std::int32_t>((rest > 0 ? rest : 0.0F) * 0x1p30F);
  }
};

struct DropPairs {
  const std::int32_t* order;
  std::int64_t keep;
  RowPairs* pairs;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t k) const {
    pairs[order[keep + k]].guide = {};
  }
};

}  // namespace

void LargestPairs::keep_on(OnThisDevice, const Context& context, RowPairs* pairs, std::int64_t count,
                           std::int64_t keep) {
  launch_each(context, "gap_keys", count, GapKeys{pairs, keys_.data()});
  sort_(context, keys_.data(), count, sorted_keys_.data(), order_.data());
  launch_each(context, "drop_pairs", count - keep, DropPairs{order_.data(), keep, pairs});
}

void sample_pairs_on(OnThisDevice, const Context& context, const ScoreView& scores, const PairPolicy& policy,
                     std::uint64_t seed, std::uint32_t epoch, std::int64_t first_row, std::int64_t count,
                     const Triple* triples, RowPairs* out) {
  const std::uint64_t first = policy.pair_rate.count_before(static_cast<std::uint64_t>(first_row));
  const std::uint64_t last = policy.pair_rate.count_before(static_cast<std::uint64_t>(first_row + count));
  launch_each(context, "sample_pairs", static_cast<std::int64_t>(last - first),
              SamplePairs{scores, policy, seed, epoch, first_row, first,
                          static_cast<std::int64_t>(last - first), triples, out});
}

}  // namespace sllmr
