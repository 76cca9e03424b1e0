#include "host/eval/sharded_ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "kernels/exec/device_exchange.h"
#include "kernels/exec/gemm.h"
#include "kernels/exec/interrupt.h"
#include "kernels/exec/parallel.h"
#include "kernels/screened_ranking.h"
#include "kernels/sharded_rows.h"

namespace sllmr {

namespace {

struct ScoredPlace {
  Id item;  // 0: none
  float score;
};

/// `mine` [n] of every rank: [ranks x n].
template <class T>
std::vector<T> gather(Communicator& ranks, const std::vector<T>& mine) {
  std::vector<T> all(mine.size() * static_cast<std::size_t>(ranks.size()));
  ranks.all_gather(mine.data(), mine.size() * sizeof(T), all.data());
  return all;
}

class SharedRanking {
 public:
  SharedRanking(const Context& context, const Scorer& scorer, const RankingPlan& plan, int list_length)
      : context_(context),
        scorer_(scorer),
        factors_(scorer.factors()),
        shard_(scorer.item_shard()),
        ranks_(context.ranks()),
        plan_(plan),
        own_items_(shard_.rows_of(scorer.item_rows())),
        list_length_(list_length),
        users_(std::ssize(plan.users)) {
    if (context.device() == Device::cpu && !plan.positives.empty() && factors_ &&
        ScreenedItems::supports(factors_->items.cols))
      screened_.emplace(context, factors_->items);
    constexpr std::int64_t kMostUsers = 1024, kMostScores = std::int64_t{1} << 22;
    // The same on every rank.
    const std::int64_t most_own = RowShard{0, ranks_.size()}.rows_of(scorer.item_rows());
    tile_users_ =
        !scores_all() ? kMostUsers : std::clamp<std::int64_t>(kMostScores / most_own, 1, kMostUsers);
  }

  Ranked operator()() {
    Ranked out;
    for (std::int64_t first = 0; first < users_; first += tile_users_) {
      const auto n = static_cast<std::size_t>(std::min(tile_users_, users_ - first));
      take_users(static_cast<std::size_t>(first), n);
      Ranked own;
      // Whoever holds a positive tells its score, which the others' scores are compared with.
      hear_scores();
      on_all_ranks(ranks_, [&] { own = rank_own(); });
      add(own, out);
    }
    return out;
  }

 private:
  /// Are all scores needed, and not the counts alone?
  bool scores_all() const { return !screened_ || list_length_ > 0; }
  /// The tile's users, and what this rank has to do with them.
  void take_users(std::size_t first, std::size_t n) {
    const bool counts = !plan_.positives.empty();
    users_of_tile_ = std::span(plan_.users).subspan(first, n);
    positives_.assign(n, 0);
    owners_.assign(n, 0);
    offsets_.assign(1, 0);
    excluded_.clear();
    for (std::size_t k = 0; k < n; ++k) {
      if (counts) {
        const Id positive = plan_.positives[first + k];
        owners_[k] = shard_.owner(positive);
        if (shard_.owns(positive)) positives_[k] = shard_.place(positive);
      }
      for (std::int64_t e = plan_.excluded_offsets[first + k]; e < plan_.excluded_offsets[first + k + 1];
           ++e) {
        const Id item = plan_.excluded[static_cast<std::size_t>(e)];
        if (shard_.owns(item)) excluded_.push_back(shard_.place(item));
      }
      offsets_.push_back(std::ssize(excluded_));
    }
    if (factors_) rows_ = rows_of_users();
  }

  /// Of the tile's, from their owners.
  Tensor<float> rows_of_users() {
    std::vector<Id> own;
    std::vector<std::int64_t> counts_of_ranks(static_cast<std::size_t>(ranks_.size()));
    for (const Id user : users_of_tile_) {
      ++counts_of_ranks[static_cast<std::size_t>(shard_.owner(user))];
      if (shard_.owns(user)) own.push_back(shard_.place(user));
    }
    const std::int64_t width = factors_->users.cols;
    const Tensor<float> own_rows = gather_rows(context_, factors_->users, own);
    const Tensor<float> by_rank(context_, std::ssize(users_of_tile_), width);
    all_gather_v_on_device(context_, own_rows.data(), bytes_of_rows(counts_of_ranks, width), by_rank.data());
    // From the ranks' order to the tile's.
    std::vector<Id> next, order;
    Id begin = 0;
    for (const std::int64_t count : counts_of_ranks) {
      next.push_back(begin);
      begin += static_cast<Id>(count);
    }
    for (const Id user : users_of_tile_)
      order.push_back(next[static_cast<std::size_t>(shard_.owner(user))]++);
    return gather_rows(context_, by_rank, order);
  }

  /// The scores of own items at `at` [users x each]: places, 0 for none.
  std::vector<float> scores_at(std::span<const Id> at, std::size_t each) {
    std::vector<float> out(at.size());
    std::vector<Id> cells;
    for (std::size_t k = 0; k < at.size(); ++k)
      cells.push_back(static_cast<Id>(k / each) * own_items_ + at[k]);
    const Tensor<float> found = gather_rows(context_, {scores_.data(), scores_.size(), 1}, cells);
    copy_to_host(context_, out.data(), found.data(), out.size() * sizeof(float));
    return out;
  }

  void hear_scores() {
    if (!factors_) {
      scores_ = scorer_.score_share(context_, users_of_tile_);
    } else if (scores_all()) {
      scores_ = products(context_, rows_, factors_->items);
    }
    positive_scores_.clear();
    if (plan_.positives.empty()) return;
    std::vector<float> own;
    if (screened_) {
      for (std::size_t k = 0; k < positives_.size(); ++k)
        own.push_back(
            screened_->score(rows_.row_range(static_cast<std::int64_t>(k), 1).data(), positives_[k]));
    } else {
      own = scores_at(positives_, 1);
    }
    const std::vector<float> all = gather(ranks_, own);
    for (std::size_t k = 0; k < own.size(); ++k)
      positive_scores_.push_back(all[static_cast<std::size_t>(owners_[k]) * own.size() + k]);
  }

  Ranked rank_own() {
    Ranked own;
    if (screened_) own.counts = screen();
    if (!scores_all()) return own;
    throw_if_interrupted();
    const Buffer<Id> positives(context_, std::span<const Id>(positives_)),
        excluded(context_, std::span<const Id>(excluded_));
    const Buffer<std::int64_t> offsets(context_, std::span<const std::int64_t>(offsets_));
    const Buffer<float> positive_scores(context_, std::span<const float>(positive_scores_));
    const RankingTile tile{.scores = scores_.data(),
                           .users = std::ssize(users_of_tile_),
                           .item_rows = own_items_,
                           .positives = positives.data(),
                           .excluded_offsets = offsets.data(),
                           .excluded = excluded.data(),
                           .positive_scores = positive_scores.data()};
    if (!screened_ && !plan_.positives.empty()) {
      Buffer<RankCounts> counts(context_, positives_.size());
      run(context_, CountRanks{.tile = tile, .out = counts.data()});
      own.counts = counts.to_host(context_);
    }
    if (list_length_ > 0) {
      Buffer<Id> lists(context_, size_product(users_of_tile_.size(), list_length_));
      run(context_, TopItems{.tile = tile, .k = list_length_, .out = lists.data()});
      own.lists = lists.to_host(context_);
    }
    return own;
  }

  std::vector<RankCounts> screen() {
    constexpr std::int64_t kAtOnce = 64;
    const std::int64_t n = rows_.rows(), at_once = tile_of(context_, n, kAtOnce);
    std::vector<RankCounts> counts(static_cast<std::size_t>(n));
    std::vector<Id> numbers(static_cast<std::size_t>(n));
    for (std::size_t k = 0; k < numbers.size(); ++k) numbers[k] = static_cast<Id>(k);
    SharedItems shared((n + at_once - 1) / at_once);
    on_threads(context_.threads(), [&](int) {
      shared.take([&](std::int64_t k) {
        const std::int64_t first = k * at_once;
        screened_->count(Matrix<const float>(rows_),
                         {.users = numbers.data() + first,
                          .n = std::min(at_once, n - first),
                          .positives = positives_.data() + first,
                          .excluded_offsets = offsets_.data() + first,
                          .excluded = excluded_.data(),
                          .positive_scores = positive_scores_.data() + first},
                         counts.data() + first);
      });
    });
    return counts;
  }

  /// Adds all ranks' part of the tile to `out`.
  void add(const Ranked& own, Ranked& out) {
    if (!own.counts.empty()) {
      const std::vector<RankCounts> all = gather(ranks_, own.counts);
      for (std::size_t k = 0; k < own.counts.size(); ++k) {
        RankCounts sum;
        for (std::size_t at = k; at < all.size(); at += own.counts.size()) {
          sum.above += all[at].above;
          sum.ties += all[at].ties;
          sum.below += all[at].below;
          sum.finite = std::min(sum.finite, all[at].finite);
        }
        out.counts.push_back(sum);
      }
    }
    if (list_length_ > 0) add_lists(own.lists, out.lists);
  }

  void add_lists(const std::vector<Id>& own, std::vector<Id>& out) {
    const auto length = static_cast<std::size_t>(list_length_);
    const std::vector<float> scores = scores_at(own, length);
    std::vector<ScoredPlace> mine;
    for (std::size_t k = 0; k < own.size(); ++k) mine.push_back({shard_.id_at(own[k]), scores[k]});
    const std::vector<ScoredPlace> all = gather(ranks_, mine);
    std::vector<ScoredPlace> list;
    for (std::size_t first = 0; first < own.size(); first += length) {
      list.clear();
      for (std::size_t begin = first; begin < all.size(); begin += own.size()) {
        for (std::size_t k = 0; k < length; ++k) {
          if (all[begin + k].item != 0) list.push_back(all[begin + k]);
        }
      }
      // A list with NaN in it means nothing, but must be sorted too.
      const auto key = [](const ScoredPlace& each) {
        return std::pair(std::isnan(each.score) ? std::numeric_limits<float>::infinity() : -each.score,
                         each.item);
      };
      std::ranges::sort(list, {}, key);
      list.resize(length);  // with 0 where there are no more
      for (const ScoredPlace& each : list) out.push_back(each.item);
    }
  }

  const Context& context_;
  const Scorer& scorer_;
  std::optional<Factors> factors_;
  RowShard shard_;  // of the items, and of the factors' users
  Communicator& ranks_;
  const RankingPlan& plan_;
  Id own_items_;
  int list_length_;
  std::int64_t users_, tile_users_ = 0;
  std::optional<ScreenedItems> screened_;

  // Of the tile; items by their places on this rank.
  std::span<const Id> users_of_tile_;
  std::vector<Id> positives_;  // 0: another rank's
  std::vector<int> owners_;    // of the positives
  std::vector<float> positive_scores_;
  std::vector<std::int64_t> offsets_;
  std::vector<Id> excluded_;
  Tensor<float> rows_;    // of the factors' users: [users x width]
  Tensor<float> scores_;  // [users x own items]
};

}  // namespace

Ranked rank_shares(const Context& context, const Scorer& scorer, const RankingPlan& plan, int list_length) {
  return SharedRanking(context, scorer, plan, list_length)();
}

}  // namespace sllmr
