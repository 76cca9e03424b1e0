#include "kernels/pair_sampler.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/pipeline.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

struct SampledPairs {
  static constexpr int kBlock = 32;   // rows that wait for memory side by side
  static constexpr int kBatch = 256;  // rows of a thread's turn

  SamplePairs args;
  std::uint64_t first_ordinal;

  /// Indexes of two entries; the higher score first.
  struct TwoEntries {
    std::int64_t a = -1, b = -1;
  };

  SLLMR_HD LlmPair compare(const TwoEntries& both) const {
    const ScoredItem a = args.scores.entries[both.a], b = args.scores.entries[both.b];
    return {a.item, b.item, a.score, b.score};
  }

  /// What is known of selected rows before their entries are read, side by side.
  template <int Most>
  struct Plan {
    std::int64_t begin = 0;  // of the launch's selected rows
    std::int64_t n = 0;
    std::uint64_t row[Most] = {};
    Id user[Most];
    std::int64_t first[Most];  // of the user's entries
    std::uint32_t entries[Most];
    std::uint32_t choice[Most], second_choice[Most];  // random words
    TwoEntries guide[Most], probe[Most];
  };

  /// A try at a guiding pair, whose scores may turn out to be equal, from two random words.
  SLLMR_HD TwoEntries guide(Id user, std::int64_t first, std::uint32_t entries, std::uint32_t choice,
                            std::uint32_t second_choice) const {
    if (args.policy.choice == PairChoice::largest) {
      const std::int64_t at = args.scores.pair_offsets[user];
      const auto pairs = static_cast<std::uint32_t>(args.scores.pair_offsets[user + 1] - at);
      if (pairs == 0) return {};
      const std::int64_t pick = at + below(choice, pairs);
      return {first + args.scores.pair_first[pick], first + args.scores.pair_second[pick]};
    }
    // The second is drawn among the others; the earlier of the two has the higher score. Without a branch,
    // which nobody could predict.
    const std::uint32_t x = below(choice, entries), y = below(second_choice, entries - 1);
    return {first + (x < y ? x : y), first + (x > y ? x : y + 1)};
  }

  SLLMR_HD TwoEntries probe(std::uint64_t row, Id user, std::int64_t first, std::uint32_t entries) const {
    const std::int32_t at = args.scores.probe[user];
    if (at < 0) return {};
    const Draw draw = philox(args.seed, args.epoch, row, Purpose::probe);
    if (args.scores.match_offsets != nullptr) {
      const std::int64_t* offsets = args.scores.match_offsets + 2 * static_cast<std::int64_t>(user);
      if (offsets[0] == offsets[1] || offsets[1] == offsets[2]) return {};
      const std::int64_t* list = offsets + (draw.word[1] >> 31);
      const std::uint32_t pick = below(draw.word[0], static_cast<std::uint32_t>(list[1] - list[0]));
      return {first + at, first + args.scores.matches[list[0] + pick]};
    }
    std::uint32_t other = below(draw.word[0], entries - 1);
    if (other >= static_cast<std::uint32_t>(at)) ++other;
    return {first + at, first + other};
  }

  template <int Most>
  SLLMR_HD RowPairs take(const Plan<Most>& plan, std::int64_t k) const {
    RowPairs pairs{};
    if (plan.guide[k].a >= 0) pairs.guide = compare(plan.guide[k]);
    constexpr std::uint32_t kAttempts = 8;
    for (std::uint32_t attempt = 1; attempt < kAttempts && pairs.guide.a != 0 && pairs.guide.agreement() <= 0;
         ++attempt) {
      const Draw draw = philox(args.seed, args.epoch, plan.row[k], Purpose::pair_choice, attempt / 2);
      const bool later = attempt % 2 != 0;
      pairs.guide = compare(guide(plan.user[k], plan.first[k], plan.entries[k],
                                  later ? draw.word[2] : draw.word[0], later ? draw.word[3] : draw.word[1]));
    }
    if (!(pairs.guide.agreement() > 0)) pairs.guide = {};
    if (plan.probe[k].a >= 0) pairs.probe = compare(plan.probe[k]);
    return pairs;
  }

  /// Every row's words at once: on the CPU in vectors. Few rows have a probe, and draw its word alone.
  template <int Most>
  SLLMR_INLINE void draw_choices(Plan<Most>& plan) const {
    side_by_side<Most>([&plan, s = args.seed, e = args.epoch](int k) {
      const Draw draw = philox(s, e, plan.row[k], Purpose::pair_choice);
      plan.choice[k] = draw.word[0];
      plan.second_choice[k] = draw.word[1];
    });
  }

  /// Users: of their entries will be read next.
  template <int Most, class Lanes>
  SLLMR_HD void begin(Lanes, std::int64_t first, std::int64_t n, Plan<Most>& plan) const {
    plan.begin = first;
    plan.n = n;
    SelectedRows rows(args.policy.pair_rate, first_ordinal + static_cast<std::uint64_t>(first));
    for (std::int64_t k = 0; k < n; ++k, rows.next()) {
      plan.row[k] = rows.row();
      plan.user[k] = args.triples[static_cast<std::int64_t>(plan.row[k]) - args.first_row].user;
      if constexpr (Lanes::prefetches) {
        Lanes::prefetch(args.scores.offsets + plan.user[k]);
        Lanes::prefetch(args.scores.offsets + plan.user[k] + 1);  // may be another line
      }
    }
  }
  /// Which entries: will be read next.
  template <int Most, class Lanes>
  SLLMR_HD void choose(Lanes, Plan<Most>& plan) const {
    for (std::int64_t k = 0; k < plan.n; ++k) {
      plan.first[k] = args.scores.offsets[plan.user[k]];
      plan.entries[k] = static_cast<std::uint32_t>(args.scores.offsets[plan.user[k] + 1] - plan.first[k]);
    }
    draw_choices(plan);
    const std::uint64_t ordinal = first_ordinal + static_cast<std::uint64_t>(plan.begin);
    for (std::int64_t k = 0; k < plan.n; ++k) {
      plan.guide[k] = plan.probe[k] = {};
      if (plan.entries[k] < 2) continue;
      plan.guide[k] =
          guide(plan.user[k], plan.first[k], plan.entries[k], plan.choice[k], plan.second_choice[k]);
      if (args.policy.probe_rate.selects(ordinal + static_cast<std::uint64_t>(k))) {
        plan.probe[k] = probe(plan.row[k], plan.user[k], plan.first[k], plan.entries[k]);
      }
      if constexpr (Lanes::prefetches) {
        for (const TwoEntries& both : {plan.guide[k], plan.probe[k]}) {
          if (both.a < 0) continue;
          Lanes::prefetch(args.scores.entries + both.a);
          Lanes::prefetch(args.scores.entries + both.b);
        }
      }
    }
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t first, std::int64_t count) const {
    in_three_steps<Plan, kBlock>(
        lanes, first, count, [&](std::int64_t at, std::int64_t n, auto& plan) { begin(lanes, at, n, plan); },
        [&](auto& plan) { choose(lanes, plan); },
        [&](const auto& plan) {
          for (std::int64_t k = 0; k < plan.n; ++k) args.out[plan.begin + k] = take(plan, k);
        });
  }
};

struct GapKey {
  GapKeys args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t k) const {
    const LlmPair& pair = args.pairs[k].guide;
    const float rest = 1.0F - pair.gap();
    args.keys[k] = pair.a == 0 ? 0x7FFFFFFF : static_cast<std::int32_t>((rest > 0 ? rest : 0.0F) * 0x1p30F);
  }
};

struct DroppedPair {
  DropPairs args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t k) const {
    args.pairs[args.order[k]].guide = {};
  }
};

void run_here(const Context& context, const SamplePairs& args) {
  const Share rate = args.policy.pair_rate;
  const std::uint64_t first = rate.count_before(static_cast<std::uint64_t>(args.first_row));
  const std::uint64_t last = rate.count_before(static_cast<std::uint64_t>(args.first_row + args.count));
  launch_batches<1>(context, "sample_pairs", static_cast<std::int64_t>(last - first), SampledPairs::kBatch,
                    SampledPairs{args, first});
}

void run_here(const Context& context, const GapKeys& args) {
  launch_each(context, "gap_keys", args.count, GapKey{args});
}

void run_here(const Context& context, const DropPairs& args) {
  launch_each(context, "drop_pairs", args.count, DroppedPair{args});
}

}  // namespace

SLLMR_KERNEL(SamplePairs)
SLLMR_KERNEL(GapKeys)
SLLMR_KERNEL(DropPairs)

}  // namespace sllmr
