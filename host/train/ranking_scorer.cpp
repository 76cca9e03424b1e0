#include "host/train/ranking_scorer.h"

#include <algorithm>
#include <vector>

#include "kernels/exec/communicator.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {

void RankingScorer::prepare(const Context& context, Target target) {
  target_ = target;
  catalogue_.reset();  // its memory serves the next one
  const RowShard own = item_shard();
  std::vector<FeatureRow> rows;
  for (Id place = 1; place < own.rows_of(item_rows()); ++place) rows.push_back({kAnyId, own.id_at(place), 0});
  FeatureBatcher batcher(context, features_, batches_of(std::ssize(rows), Side::item));
  const FeatureBatch& items = *batch_of(context, batcher, rows);
  on_all_ranks(context.ranks(), [&] { catalogue_ = backbone_.catalogue(context, items); });
  context.synchronize();  // the batch's memory must not go while the device reads it
}

FeatureBatcherOptions RankingScorer::batches_of(std::int64_t rows, Side side) const {
  FeatureBatcherOptions options{
      .max_rows = rows, .sequence = backbone_.wants_sequence(), .plans = false, .side = side};
  if (shared_ != nullptr) options.staged = shared_->vocabularies();
  return options;
}

const FeatureBatch* RankingScorer::batch_of(const Context& context, FeatureBatcher& batcher,
                                            std::span<const FeatureRow> rows) const {
  together(context, [&] {
    throw_if_interrupted();
    if (!rows.empty()) batcher.assemble(rows);
  });
  const std::array some{&batcher};
  if (shared_ != nullptr) shared_->fetch(std::span(some).first(rows.empty() ? 0 : 1));
  return rows.empty() ? nullptr : &batcher.upload(context);
}

void RankingScorer::score_tile(const Context& context, const Id* users, std::int64_t n, float*,
                               float* logits) const {
  std::vector<Id> host_users(static_cast<std::size_t>(n));
  copy_to_host(context, host_users.data(), users, host_users.size() * sizeof(Id));
  if (catalogue_ != nullptr) {
    rank(context, host_users, logits);
    return;
  }
  std::vector<FeatureRow> rows;
  const Id items = item_rows();
  for (const Id user : host_users) {
    for (Id item = 1; item < items; ++item) rows.push_back(row_of(user, item));
    fill_zero(context, logits, sizeof(float));
    score(context, rows, logits + 1);
    logits += items;
    rows.clear();
  }
}

void RankingScorer::rank(const Context& context, std::span<const Id> users, float* logits) const {
  FeatureBatcher batcher(context, features_, batches_of(kUsersAtOnce, Side::user));
  std::vector<FeatureRow> rows;
  for (std::size_t first = 0; first < users.size(); first += kUsersAtOnce) {
    rows.clear();
    for (const Id user : users.subspan(first, std::min(kUsersAtOnce, users.size() - first))) {
      rows.push_back(row_of(user, kAnyId));
    }
    const Tensor<float> ranked = backbone_.rank(context, *catalogue_, batcher.make(context, rows));
    for (std::int64_t k = 0; k < ranked.rows(); ++k, logits += item_rows())
      put_row(context, ranked.row_range(k, 1), logits);
  }
  context.synchronize();  // the batch's memory must not go while the device reads it
}

void RankingScorer::put_row(const Context& context, const Tensor<float>& scores, float* logits) {
  fill_zero(context, logits, sizeof(float));
  copy_on_device(context, logits + 1, scores.data(), static_cast<std::size_t>(scores.cols()) * sizeof(float));
}

void RankingScorer::score_pairs(const Context& context, const Id* users, const Id* items, std::int64_t n,
                                float* logits) const {
  std::vector<Id> host_users(static_cast<std::size_t>(n)), host_items(host_users.size());
  copy_to_host(context, host_users.data(), users, host_users.size() * sizeof(Id));
  copy_to_host(context, host_items.data(), items, host_items.size() * sizeof(Id));
  std::vector<FeatureRow> rows(host_users.size());
  for (std::size_t k = 0; k < rows.size(); ++k) rows[k] = row_of(host_users[k], host_items[k]);
  score(context, rows, logits);
}

void RankingScorer::score(const Context& context, std::span<const FeatureRow> rows, float* logits,
                          const float* made_examples, std::int64_t passes) const {
  FeatureBatcherOptions options = batches_of(kForwardRows);
  options.made_examples = made_examples;
  FeatureBatcher batcher(context, features_, options);
  const std::int64_t n = std::ssize(rows);
  for (std::int64_t first = 0; first < std::max(n, passes * kForwardRows); first += kForwardRows) {
    const std::int64_t at = std::min(n, first), count = std::min(kForwardRows, n - at);
    const FeatureBatch* batch = batch_of(
        context, batcher, rows.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count)));
    if (batch == nullptr) continue;
    const Tensor<float> out = backbone_.forward(context, *batch, Pass{}, nullptr);
    copy_on_device(context, logits + at, out.data(), static_cast<std::size_t>(count) * sizeof(float));
  }
}

std::vector<float> RankingScorer::ctr_logits(const Context& context, std::span<const CtrRow> rows) const {
  Communicator& ranks = context.ranks();
  const auto size = kForwardRows, n = std::ssize(rows), batches = (n + size - 1) / size;
  const RankShare share = share_of(ranks, ranks.rank(), batches);
  const auto own = rows.subspan(static_cast<std::size_t>(share.first * size),
                                static_cast<std::size_t>(std::min(n, share.end * size) - share.first * size));
  std::vector<float> logits(rows.size());
  const auto score_own = [&] {
    std::vector<FeatureRow> features;
    for (const CtrRow& row : own) features.push_back({row.user, row.item, row.position});
    Tensor<float> made;
    if (const ExampleSource* examples = features_.examples()) {
      // All at once, not batch by batch.
      std::vector<std::int32_t> found(own.size() * static_cast<std::size_t>(examples->each()));
      together(context, [&] { examples->find(features, found); });
      made = made_examples(context, *examples);
    }
    Buffer<float> scored(context, own.size());
    score(context, features, scored.data(), made.data(), (batches + ranks.size() - 1) / ranks.size());
    if (own.empty()) return;
    copy_to_host(context, logits.data() + share.first * size, scored.data(), own.size() * sizeof(float));
  };
  if (shared_ != nullptr) {
    score_own();
  } else {
    on_all_ranks(ranks, [&] {
      if (!own.empty()) score_own();
    });
  }
  gather_shares(ranks, batches, size, std::span(logits));
  return logits;
}

Tensor<float> RankingScorer::made_examples(const Context& context, const ExampleSource& examples) const {
  const auto pool = examples.pool();
  FeatureBatcherOptions options = batches_of(kForwardRows);
  options.examples = false;
  FeatureBatcher batcher(context, features_, options);
  Tensor<float> out;
  for (std::size_t first = 0; first < pool.size(); first += kForwardRows) {
    const auto some = pool.subspan(first, std::min<std::size_t>(kForwardRows, pool.size() - first));
    const auto at = static_cast<std::int64_t>(first);
    const Tensor<float> made = backbone_.of_examples(context, *batch_of(context, batcher, some), at);
    if (first == 0) out = Tensor<float>(context, std::ssize(pool), made.cols());
    copy_on_device(context, out.row_range(at, made.rows()).data(), made.data(),
                   static_cast<std::size_t>(made.rows() * made.cols()) * sizeof(float));
  }
  return out;
}

FeatureRow RankingScorer::row_of(Id user, Id item) const {
  const auto known = target_ == Target::validation
                         ? split_.train_size[static_cast<std::size_t>(user)]
                         : static_cast<std::int32_t>(split_.data->user_history(user).size()) - 1;
  return {user, item, known};
}

}  // namespace sllmr
