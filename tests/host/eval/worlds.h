// Data sets and models small enough to rank by hand.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "host/data/dataset.h"
#include "models/scorer.h"

namespace sllmr {

/// Users 1, 2, ... with these histories; items 1 .. `items` keep their numbers.
inline Dataset data_of(const std::vector<std::vector<Id>>& histories, Id items) {
  Dataset data;
  for (Id item = 1; item <= items; ++item) data.items.add(std::to_string(item));
  data.history_offsets = {0, 0};
  for (const std::vector<Id>& history : histories) {
    data.users.add(std::to_string(data.users.rows()));
    data.history.insert(data.history.end(), history.begin(), history.end());
    data.history_offsets.push_back(data.interactions());
  }
  return data;
}

/// Histories of 1 to 9 items; about one in three repeats an item.
inline Dataset random_data(int users, Id items, std::uint32_t seed) {
  std::mt19937 engine(seed);
  const auto below = [&](int n) { return static_cast<int>(engine() % static_cast<unsigned>(n)); };
  std::vector<std::vector<Id>> histories;
  for (int user = 0; user < users; ++user) {
    std::vector<Id>& history = histories.emplace_back();
    const int length = 1 + below(9);
    while (static_cast<int>(history.size()) < length) history.push_back(1 + below(items));
    if (below(3) == 0) history.push_back(history[static_cast<std::size_t>(below(length))]);
  }
  return data_of(histories, items);
}

/// Gives the logits it was made of. On the CPU only.
class FixedScorer final : public Scorer {
 public:
  /// `logits` [user rows x item rows], padding included.
  FixedScorer(Id item_rows, std::vector<float> logits) : item_rows_(item_rows), logits_(std::move(logits)) {}
  /// Few distinct values, so that there are ties.
  FixedScorer(const Dataset& data, std::uint32_t seed) : item_rows_(data.items.rows()) {
    std::mt19937 engine(seed);
    const auto size = static_cast<std::size_t>(data.users.rows()) * static_cast<std::size_t>(item_rows_);
    while (logits_.size() < size) logits_.push_back(0.5F * static_cast<float>(engine() % 13) - 3.0F);
  }

  float& logit(Id user, Id item) { return logits_[index(user, item)]; }
  float logit(Id user, Id item) const { return logits_[index(user, item)]; }

  Id item_rows() const override { return item_rows_; }
  std::int64_t scratch_floats(std::int64_t) const override { return 0; }
  void score_tile(const Context&, const Id* users, std::int64_t n, float*, float* logits) const override {
    for (std::int64_t k = 0; k < n; ++k) {
      for (Id item = 0; item < item_rows_; ++item) logits[k * item_rows_ + item] = logit(users[k], item);
    }
  }
  void score_pairs(const Context&, const Id* users, const Id* items, std::int64_t n,
                   float* logits) const override {
    for (std::int64_t k = 0; k < n; ++k) logits[k] = logit(users[k], items[k]);
  }

 private:
  std::size_t index(Id user, Id item) const {
    return static_cast<std::size_t>(user) * static_cast<std::size_t>(item_rows_) +
           static_cast<std::size_t>(item);
  }
  Id item_rows_;
  std::vector<float> logits_;
};

}  // namespace sllmr
