// Examples by a rule that tests can follow.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "host/data/features.h"

namespace sllmr {

/// Row r's slots, of the rows of one call numbered from 0, have the pool's rows r, r + 1, ..., but every
/// third slot is empty.
class FixedExamples final : public ExampleSource {
 public:
  FixedExamples(std::vector<FeatureRow> pool, int each) : pool_(std::move(pool)), each_(each) {
    for (std::size_t k = 0; k < pool_.size(); ++k) labels_.push_back(k % 2 == 0 ? 1 : 0);
  }
  int each() const override { return each_; }
  std::span<const FeatureRow> pool() const override { return pool_; }
  std::span<const std::int8_t> labels() const override { return labels_; }
  void find(std::span<const FeatureRow> rows, std::span<std::int32_t> found) const override {
    for (std::size_t k = 0; k < rows.size() * static_cast<std::size_t>(each_); ++k) {
      const std::size_t row = k / static_cast<std::size_t>(each_), slot = k % static_cast<std::size_t>(each_);
      found[k] = k % 3 == 2 ? -1 : static_cast<std::int32_t>((row + slot) % pool_.size());
    }
  }

 private:
  std::vector<FeatureRow> pool_;
  std::vector<std::int8_t> labels_;
  int each_;
};

}  // namespace sllmr
