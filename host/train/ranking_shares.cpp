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

void RankingScorer::assemble(const Context& context, std::span<const Id> users, Share& share) const {
  const RowShard shard = item_shard();
  std::vector<FeatureRow> rows;
  if (catalogue_ != nullptr) {
    for (const Id user :
         users.subspan(static_cast<std::size_t>(share.user), static_cast<std::size_t>(share.users)))
      rows.push_back(row_of(user, kAnyId));
  } else {
    const std::int64_t end = std::min<std::int64_t>(shard.rows_of(item_rows()), share.first + kForwardRows);
    for (std::int64_t place = share.first; place < end; ++place)
      rows.push_back(
          row_of(users[static_cast<std::size_t>(share.user)], shard.id_at(static_cast<Id>(place))));
  }
  if (rows.empty()) return;
  const Side side = catalogue_ != nullptr ? Side::user : Side::both;
  share.batcher = std::make_unique<FeatureBatcher>(context, features_, batches_of(std::ssize(rows), side));
  share.batcher->assemble(rows);
}

void RankingScorer::score(const Context& context, const Share& share, const Tensor<float>& logits) const {
  const FeatureBatch& batch = share.batcher->upload(context);
  const Tensor<float> scored =
      catalogue_ != nullptr ? backbone_.rank(context, *catalogue_, batch)
                            : backbone_.forward(context, batch, Pass{}, nullptr).reshaped(1, batch.rows);
  for (std::int64_t row = 0; row < scored.rows(); ++row) {
    copy_on_device(context, logits.row_range(share.user + row, 1).data() + share.first,
                   scored.row_range(row, 1).data(), static_cast<std::size_t>(scored.cols()) * sizeof(float));
  }
}

Tensor<float> RankingScorer::score_share(const Context& context, std::span<const Id> users) const {
  // Each share is scored by one thread; so many are fetched at once, on every rank.
  constexpr std::int64_t kAtOnce = 16;
  const RowShard shard = item_shard();
  const std::int64_t n = std::ssize(users), most_rows = RowShard{0, shard.ranks}.rows_of(item_rows());
  std::vector<Share> shares;
  if (catalogue_ != nullptr) {
    const auto at_once = std::clamp<std::int64_t>(n / kAtOnce, 1, kUsersAtOnce);
    for (std::int64_t user = 0; user < n; user += at_once)
      shares.push_back({.user = user, .users = std::min(at_once, n - user)});
  } else {
    for (std::int64_t user = 0; user < n; ++user) {
      for (std::int64_t first = 1; first < most_rows; first += kForwardRows)
        shares.push_back({.user = user, .first = first});
    }
  }
  Tensor<float> logits = Tensor<float>::zeros(context, n, shard.rows_of(item_rows()));
  for (std::int64_t begin = 0; begin < std::ssize(shares); begin += kAtOnce) {
    const auto some =
        std::span(shares).subspan(static_cast<std::size_t>(begin),
                                  static_cast<std::size_t>(std::min(kAtOnce, std::ssize(shares) - begin)));
    on_all_ranks(context.ranks(), [&] {
      throw_if_interrupted();
      for (Share& share : some) assemble(context, users, share);
    });
    std::vector<FeatureBatcher*> batches;
    for (const Share& share : some) {
      if (share.batcher != nullptr) batches.push_back(share.batcher.get());
    }
    shared_->fetch(batches);
    on_all_ranks(context.ranks(), [&] {
      on_workers(context, std::ssize(some), [&](const Context& own, std::int64_t k) {
        const Share& share = some[static_cast<std::size_t>(k)];
        if (share.batcher != nullptr) score(own, share, logits);
      });
    });
    context.synchronize();  // the batches' memory must not go while the device reads it
    for (Share& share : some) share.batcher.reset();
  }
  shared_->release();
  return logits;
}

}  // namespace sllmr
