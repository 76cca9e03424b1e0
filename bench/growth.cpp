#include "bench/growth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/exec/random.h"
#include "kernels/fused_mf_step.h"
#include "kernels/gates/columns.h"
#include "kernels/interaction_index.h"
#include "kernels/triple_sampler.h"
#include "models/mf.h"

namespace sllmr::bench {
namespace {

constexpr int kWidth = 64;
constexpr std::uint64_t kSeed = 1;
constexpr std::int64_t kChunk = 16384;  // train.chunk_rows

/// `n` interactions of users with nine each and of items with sixteen each in the mean, as Amazon Beauty has
/// them; an item's popularity falls with the square root of its rank.
class GrowthWorld {
 public:
  GrowthWorld(const Context& context, std::int64_t n, std::int64_t block_rows)
      : n_(n),
        block_rows_(block_rows),
        users_(static_cast<Id>(n / 9)),
        items_(static_cast<Id>(n / 16)),
        model_(context, users_ + 1, items_ + 1, {kWidth, 0.1, kSeed, OptimizerKind::sgd}),
        triples_(context, static_cast<std::size_t>(kChunk)),
        slots_(context, static_cast<std::size_t>(context.threads()) * GateColumns::stride) {
    std::vector<std::int64_t> offsets{0};
    for (Id user = 0; user <= users_; ++user) offsets.push_back(user == 0 ? 0 : n_ * user / users_);
    std::vector<Id> items(static_cast<std::size_t>(n_));
    for (std::size_t k = 0; k < items.size(); ++k) {
      const float x = uniform(philox(kSeed, 0, k, Purpose::synthetic).word[0]);
      // Spread over the ids: popular items lie everywhere in the table.
      const auto rank = static_cast<std::uint64_t>(static_cast<double>(x) * x * items_);
      items[k] = 1 + static_cast<Id>(rank * 0x9E3779B1U % static_cast<std::uint64_t>(items_));
    }
    index_ = InteractionIndex(context, offsets, items, items_);
    args_.users = model_.users();
    args_.items = model_.items();
    args_.triples = triples_.data();
    args_.optimizer = {1e-5F, 0.01F};
    args_.gate.slots = slots_.data();
    args_.gate.n_slots = context.threads();
  }

  /// The next `rows` rows of the epoch.
  void pass(const Context& context, std::int64_t rows) {
    for (std::int64_t done = 0; done < rows; done += kChunk) {
      if (next_ + kChunk > n_) next_ = 0;
      run(context, SampleTriples{.interactions = index_.view(),
                                 .seed = kSeed,
                                 .epoch = 0,
                                 .first_row = next_,
                                 .count = kChunk,
                                 .block_rows = block_rows_,
                                 .out = triples_.data()});
      args_.rows = kChunk;
      args_.first_row = next_;
      const std::int64_t tables = std::int64_t{users_} + items_;
      run(context, FusedMfStep{.width = kWidth,
                               .optimizer = OptimizerKind::sgd,
                               .mf = args_,
                               .beyond_cache = outgrow_cache(tables, kWidth, OptimizerKind::sgd)});
      next_ += kChunk;
    }
  }
  double table_bytes() const { return 4.0 * kWidth * (static_cast<double>(users_) + items_); }

 private:
  std::int64_t n_, block_rows_, next_ = 0;
  Id users_, items_;
  Mf model_;
  InteractionIndex index_;
  Buffer<Triple> triples_;
  Buffer<float> slots_;
  MfArgs args_;
};

}  // namespace

void bench_growth(const Context& context, Report& report) {
  const std::int64_t sizes[] = {100'000, 1'000'000, 10'000'000, 50'000'000};
  for (const std::int64_t block_rows : {0, 4096}) {
    const std::string order = block_rows == 0 ? "growth" : "growth_blocks";
    std::vector<Figure> costs;
    for (const std::int64_t n : sizes) {
      GrowthWorld world(context, n, block_rows);
      constexpr std::int64_t kRows = 64 * kChunk;
      const Figure time = Stopwatch(context, {9, 0}).time([&] { world.pass(context, kRows); });
      const double rows = kRows;
      costs.push_back({time.median / rows, time.low / rows, time.high / rows});
      report.add(
          fmt::format("{}_{}_seconds_per_row", order, n), costs.back(), 1e9, "ns",
          fmt::format("{} interactions, tables of {:.0f} MiB, train.block_rows={}; floor: three rows of {} "
                      "B read and written, a line each of the interactions and of the filter",
                      n, world.table_bytes() / (1 << 20), block_rows, 4 * kWidth));
    }
    const double ratio = costs.back().median / costs.front().median;
    report.json[order + "_ratio"] = ratio;
    fmt::print("train.block_rows={}: a row of the largest costs {:.2f} times one of the smallest\n",
               block_rows, ratio);
  }
}

}  // namespace sllmr::bench
