// Ranking by several ranks that share out the items.
#include <algorithm>

#include "host/train/ranking_scorer.h"
#include "kernels/exec/parallel.h"

namespace sllmr {

namespace {

/// body(context of one thread, k) for k = 0 .. n - 1, in whatever order on the CPU.
template <class Body>
void on_workers(const Context& context, std::int64_t n, const Body& body) {
  const int workers =
      context.device() == Device::cpu ? static_cast<int>(std::min<std::int64_t>(context.threads(), n)) : 1;
  if (workers <= 1) {
    for (std::int64_t k = 0; k < n; ++k) body(context, k);
    return;
  }
  SharedItems items(n);
  on_threads(workers, [&](int) {
    const Context own(Device::cpu, 1);
    items.take([&](std::int64_t k) { body(own, k); });
  });
}

}  // namespace

Tensor<float> RankingScorer::score_share(const Context& context, std::span<const Id> users) const {
  require(catalogue_ != nullptr,
          "this model ranks by forward passes over whole tables: raise train.shard_above, so that every rank "
          "keeps them");
  // Each batch of users is scored by one thread; so many are fetched at once.
  constexpr std::int64_t kBatches = 16;
  const std::int64_t n = std::ssize(users), at_once = std::clamp<std::int64_t>(n / kBatches, 1, kUsersAtOnce);
  Tensor<float> logits(context, n, item_shard().rows_of(item_rows()));
  std::vector<std::unique_ptr<FeatureBatcher>> batches;
  std::vector<FeatureBatcher*> fetched;
  std::vector<FeatureRow> rows;
  const auto score = [&](const Context& own, std::int64_t first, FeatureBatcher& batch) {
    const Tensor<float> ranked = backbone_.rank(own, *catalogue_, batch.upload(own));
    for (std::int64_t k = 0; k < ranked.rows(); ++k)
      put_row(own, ranked.row_range(k, 1), logits.row_range(first + k, 1).data());
  };
  for (std::int64_t begin = 0; begin < n; begin += kBatches * at_once) {
    const std::int64_t end = std::min(n, begin + kBatches * at_once);
    batches.clear();
    fetched.clear();
    for (std::int64_t first = begin; first < end; first += at_once) {
      rows.clear();
      for (std::int64_t k = first; k < std::min(end, first + at_once); ++k)
        rows.push_back(row_of(users[static_cast<std::size_t>(k)], kAnyId));
      batches.push_back(
          std::make_unique<FeatureBatcher>(context, features_, batches_of(at_once, Side::user)));
      batches.back()->assemble(rows);
      fetched.push_back(batches.back().get());
    }
    shared_->fetch(fetched);
    on_all_ranks(context.ranks(), [&] {
      on_workers(context, std::ssize(batches), [&](const Context& own, std::int64_t k) {
        score(own, begin + k * at_once, *batches[static_cast<std::size_t>(k)]);
      });
    });
    context.synchronize();  // the batches' memory must not go while the device reads it
  }
  shared_->release();
  return logits;
}

}  // namespace sllmr
