#include "host/text/example_retrieval.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "host/base/progress.h"
#include "host/text/vector_sums.h"
#include "kernels/exec/gemm.h"
#include "kernels/exec/interrupt.h"
#include "kernels/exec/parallel.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

// Of a block. Products have these sizes even where a block has fewer, so that a row's bits do not depend on
// its neighbours.
constexpr std::size_t kHistories = 64, kItems = 128;

/// The best of one label: by score, then by number.
struct Best {
  static constexpr int kMost = ExampleRetrieval::kOfLabel;
  float score[kMost];
  std::int32_t number[kMost];

  Best() {
    std::fill_n(score, kMost, -std::numeric_limits<float>::infinity());
    std::fill_n(number, kMost, -1);
  }
  float least() const { return score[kMost - 1]; }
  void put(float s, std::int32_t k) {
    int at = kMost;
    while (at > 0 &&
           (s > score[at - 1] || (s == score[at - 1] && (number[at - 1] < 0 || k < number[at - 1]))))
      --at;
    if (at == kMost) return;
    for (int to = kMost - 1; to > at; --to) {
      score[to] = score[to - 1];
      number[to] = number[to - 1];
    }
    score[at] = s;
    number[at] = k;
  }
};

auto order_of(const FeatureRow& row) {
  return std::tuple(row.user, row.position, row.item);
}

}  // namespace

std::size_t ExampleRetrieval::KeyHash::operator()(const Key& key) const {
  const auto mix = [](std::uint64_t x) {
    x = (x ^ (x >> 31)) * 0x9E3779B97F4A7C15ULL;
    return x ^ (x >> 29);
  };
  return mix(mix(static_cast<std::uint64_t>(key.user) << 32 | static_cast<std::uint32_t>(key.item)) +
             static_cast<std::uint64_t>(key.position));
}

/// What all rows are compared with, and one thread's room for it.
class ExampleRetrieval::Search {
 public:
  explicit Search(const ExampleRetrieval& of)
      : of_(of),
        width_(static_cast<std::size_t>(of.vectors_->width)),
        histories_(of.by_item_.size() * width_),
        items_((of.run_.size() - 1) * width_) {
    for (std::size_t k = 0; k < of.by_item_.size(); ++k) {
      of.mean_history(of.pool_[static_cast<std::size_t>(of.by_item_[k])], histories_.data() + k * width_);
    }
    for (std::size_t k = 0; k + 1 < of.run_.size(); ++k) {
      const Id item =
          of.pool_[static_cast<std::size_t>(of.by_item_[static_cast<std::size_t>(of.run_[k])])].item;
      std::ranges::copy(of.vectors_->of(item), items_.data() + k * width_);
    }
  }

  struct Room {
    std::vector<float> histories, items, of_histories, of_items;
  };

  /// found[k] of row k of `rows`, a block's.
  void take(const Context& context, std::span<const FeatureRow> rows, Room& room, Found* found) const {
    room.histories.assign(kHistories * width_, 0);
    room.items.assign(kItems * width_, 0);
    std::vector<std::size_t> history_of;
    std::vector<Id> items;
    std::size_t histories = 0;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const bool same = k > 0 && rows[k].user == rows[k - 1].user && rows[k].position == rows[k - 1].position;
      if (!same) of_.mean_history(rows[k], room.histories.data() + histories++ * width_);
      history_of.push_back(histories - 1);
      items.push_back(rows[k].item);
    }
    std::ranges::sort(items);
    items.erase(std::unique(items.begin(), items.end()), items.end());
    for (std::size_t k = 0; k < items.size(); ++k) {
      std::ranges::copy(of_.vectors_->of(items[k]), room.items.data() + k * width_);
    }
    products_of(context, room.histories, kHistories, histories_, room.of_histories);
    products_of(context, room.items, kItems, items_, room.of_items);
    const std::size_t pool = of_.by_item_.size(), pool_items = of_.run_.size() - 1;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const auto item =
          static_cast<std::size_t>(std::ranges::lower_bound(items, rows[k].item) - items.begin());
      found[k] = best_of(rows[k], room.of_histories.data() + history_of[k] * pool,
                         room.of_items.data() + item * pool_items);
    }
  }

 private:
  /// to [rows x rows of `with`] = the inner products of both's rows.
  void products_of(const Context& context, std::vector<float>& x, std::size_t rows,
                   const std::vector<float>& with, std::vector<float>& to) const {
    const auto cols = static_cast<std::int64_t>(width_), n = static_cast<std::int64_t>(with.size()) / cols;
    to.resize(rows * static_cast<std::size_t>(n));
    const Matrix<const float> all(with.data(), n, cols);
    multiply(context, Matrix<const float>(x.data(), static_cast<std::int64_t>(rows), cols), transposed(all),
             Matrix<float>(to.data(), static_cast<std::int64_t>(rows), n));
  }

  Found best_of(const FeatureRow& row, const float* of_histories, const float* of_items) const {
    Best best[2];
    for (std::size_t u = 0; u + 1 < of_.run_.size(); ++u) {
      const float of_item = of_items[u];
      for (auto k = static_cast<std::size_t>(of_.run_[u]); k < static_cast<std::size_t>(of_.run_[u + 1]);
           ++k) {
        const float score = of_histories[k] + of_item;
        const std::int32_t number = of_.by_item_[k];
        Best& of_label = best[of_.labels_[static_cast<std::size_t>(number)]];
        if (score >= of_label.least() && of_.allowed(row, number)) of_label.put(score, number);
      }
    }
    Found found;
    std::copy_n(best[1].number, kOfLabel, found.begin());
    std::copy_n(best[0].number, kOfLabel, found.begin() + kOfLabel);
    return of_.in_order(row, found);
  }

  const ExampleRetrieval& of_;
  std::size_t width_;
  std::vector<float> histories_;  // [pool x width], in the order of by_item_
  std::vector<float> items_;      // [items of the pool x width]
};

ExamplePool example_pool(const Split& split, double share, std::uint64_t seed) {
  const std::vector<CtrRow> rows = ctr_train_rows(split, seed);
  const double bound = share * 4294967296.0;
  ExamplePool pool;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    if (static_cast<double>(philox(seed, 0, k, Purpose::example_pool).word[0]) >= bound) continue;
    pool.rows.push_back({rows[k].user, rows[k].item, rows[k].position});
    pool.labels.push_back(rows[k].label > 0.5F ? 1 : 0);
  }
  require(!pool.rows.empty(),
          fmt::format("no example was drawn from {} training rows: raise llmcf.share (it is {:g})",
                      rows.size(), share));
  return pool;
}

ExampleRetrieval::ExampleRetrieval(const Split& split, std::shared_ptr<const TextVectors> vectors,
                                   const RetrievalOptions& options)
    : data_(*split.data), vectors_(std::move(vectors)), options_(options) {
  ExamplePool pool = example_pool(split, options.share, options.seed);
  pool_ = std::move(pool.rows);
  labels_ = std::move(pool.labels);
  by_item_.resize(pool_.size());
  std::iota(by_item_.begin(), by_item_.end(), 0);
  const auto item_of = [&](std::int32_t k) { return pool_[static_cast<std::size_t>(k)].item; };
  std::ranges::stable_sort(by_item_, {}, item_of);
  for (std::size_t k = 0; k < by_item_.size(); ++k) {
    if (k == 0 || item_of(by_item_[k]) != item_of(by_item_[k - 1]))
      run_.push_back(static_cast<std::int32_t>(k));
  }
  run_.push_back(static_cast<std::int32_t>(by_item_.size()));
}

bool ExampleRetrieval::allowed(const FeatureRow& row, std::int32_t example) const {
  const FeatureRow& other = pool_[static_cast<std::size_t>(example)];
  if (other.user != row.user) return true;
  return options_.release_quirks ? other.position <= row.position : other.position < row.position;
}

void ExampleRetrieval::mean_history(const FeatureRow& row, float* to) const {
  const auto history = data_.history_before(row.user, row.position, options_.max_history);
  const std::span mean(to, static_cast<std::size_t>(vectors_->width));
  std::ranges::fill(mean, 0.0F);
  add_vectors(*vectors_, history, mean);
  for (float& x : mean) x /= static_cast<float>(std::max<std::size_t>(1, history.size()));
}

ExampleRetrieval::Found ExampleRetrieval::in_order(const FeatureRow& row, Found found) const {
  const auto pair = static_cast<std::uint64_t>(row.user) << 32 | static_cast<std::uint32_t>(row.item);
  const Draw draw =
      philox(options_.seed, static_cast<std::uint32_t>(row.position), pair, Purpose::example_order);
  for (std::size_t k = found.size() - 1; k > 0; --k) {
    std::swap(found[k], found[below(draw.word[k], static_cast<std::uint32_t>(k + 1))]);
  }
  return found;
}

void ExampleRetrieval::search(std::span<const FeatureRow> rows) const {
  std::vector<Block> blocks;
  std::size_t histories = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const bool same = k > 0 && rows[k].user == rows[k - 1].user && rows[k].position == rows[k - 1].position;
    histories += same ? 0 : 1;
    if (k == 0 || histories > kHistories || k - blocks.back().first == kItems) {
      blocks.push_back({k, k});
      histories = 1;
    }
    blocks.back().last = k + 1;
  }
  const Search search(*this);
  std::vector<Found> found(rows.size());
  SharedItems shared(std::ssize(blocks));
  Progress progress("retrieving examples", std::ssize(rows), "rows");
  std::atomic<std::int64_t> done = 0;
  const int threads =
      static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(options_.threads), blocks.size()));
  on_threads(threads, [&](int thread) {
    const Context context(Device::cpu, 1);
    Search::Room room;
    shared.take([&](std::int64_t k) {
      throw_if_interrupted();
      const Block& block = blocks[static_cast<std::size_t>(k)];
      search.take(context, rows.subspan(block.first, block.last - block.first), room,
                  found.data() + block.first);
      done += static_cast<std::int64_t>(block.last - block.first);
      if (thread == 0) progress.update(done);
    });
  });
  for (std::size_t k = 0; k < rows.size(); ++k) found_.emplace(key_of(rows[k]), found[k]);
}

void ExampleRetrieval::find(std::span<const FeatureRow> rows, std::span<std::int32_t> found) const {
  const std::scoped_lock lock(mutex_);
  std::vector<FeatureRow> missing;
  for (const FeatureRow& row : rows) {
    if (!found_.contains(key_of(row))) missing.push_back(row);
  }
  if (!missing.empty()) {
    std::ranges::sort(missing, {}, order_of);
    const auto same = [](const FeatureRow& a, const FeatureRow& b) { return order_of(a) == order_of(b); };
    missing.erase(std::unique(missing.begin(), missing.end(), same), missing.end());
    search(missing);
  }
  for (std::size_t k = 0; k < rows.size(); ++k) {
    std::ranges::copy(found_.at(key_of(rows[k])),
                      found.begin() + static_cast<std::ptrdiff_t>(k * Found().size()));
  }
}

}  // namespace sllmr
