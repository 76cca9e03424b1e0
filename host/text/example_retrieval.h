// LLM-CF's retrieval (Sun et al., CIKM 2024): of a row the training rows whose texts are most alike.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "host/data/features.h"
#include "host/data/split.h"
#include "host/text/text_vectors.h"

namespace sllmr {

struct RetrievalOptions {
  double share = 0.1;  // of the training rows, drawn by the seed: the pool
  std::uint64_t seed = 1;
  int threads = 1;
  int max_history = 20;
  /// The release's leak: a row may see itself, its twin of the other label and what is no older; only the
  /// same user's later rows are left out.
  bool release_quirks = false;
};

/// Training rows that may be examples, with their labels, 0 or 1: each of ctr_train_rows() with probability
/// `share`, drawn by the seed. Throws Error where there are none.
struct ExamplePool {
  std::vector<FeatureRow> rows;
  std::vector<std::int8_t> labels;
};
ExamplePool example_pool(const Split& split, double share, std::uint64_t seed);

/// Of row r the most alike are those with the largest <h_r, h_j> + <e_r, e_j>, e the item's text vector and h
/// the mean, of any length, of those of the last `max_history` items before the row's position: the best two
/// of either label, or as many as there are, in an order drawn by seed and row. A row of the same user is
/// taken only from an earlier position, so that no row sees itself, nor what it is to predict. What was found
/// is kept: a row costs a pass over the pool once. Results depend on the arguments here and,
/// where two rows are alike to the last bit of a float, on the processor.
class ExampleRetrieval final : public ExampleSource {
 public:
  static constexpr int kOfLabel = 2;

  /// Throws Error where the pool has no rows.
  ExampleRetrieval(const Split& split, std::shared_ptr<const TextVectors> vectors,
                   const RetrievalOptions& options);

  int each() const override { return 2 * kOfLabel; }
  std::span<const FeatureRow> pool() const override { return pool_; }
  std::span<const std::int8_t> labels() const override { return labels_; }
  void find(std::span<const FeatureRow> rows, std::span<std::int32_t> found) const override;

 private:
  using Found = std::array<std::int32_t, 2 * kOfLabel>;
  struct Key {
    Id user, item;
    std::int32_t position;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  /// Rows of the same few histories, which one thread takes.
  struct Block {
    std::size_t first, last;
  };
  class Search;

  static Key key_of(const FeatureRow& row) { return {row.user, row.item, row.position}; }
  bool allowed(const FeatureRow& row, std::int32_t example) const;
  /// Adds rows, sorted and different, to found_.
  void search(std::span<const FeatureRow> rows) const;
  Found in_order(const FeatureRow& row, Found found) const;
  void mean_history(const FeatureRow& row, float* to) const;

  const Dataset& data_;
  std::shared_ptr<const TextVectors> vectors_;
  RetrievalOptions options_;
  std::vector<FeatureRow> pool_;
  std::vector<std::int8_t> labels_;
  std::vector<std::int32_t> by_item_;  // the pool's rows, sorted by item
  std::vector<std::int32_t> run_;      // [items of the pool + 1]: where each item's begin in by_item_
  mutable std::mutex mutex_;
  mutable std::unordered_map<Key, Found, KeyHash> found_;
};

}  // namespace sllmr
