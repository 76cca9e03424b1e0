// What a batch's examples add to it.
#include <algorithm>
#include <numeric>

#include "host/data/features.h"

namespace sllmr {

std::span<const FeatureRow> FeatureBatcher::with_examples(std::span<const FeatureRow> rows) {
  const ExampleSource& source = *store_.examples();
  rows_.assign(rows.begin(), rows.end());
  found_.resize(rows.size() * static_cast<std::size_t>(each_));
  numbers_.clear();
  filled_ = 0;
  source.find(rows, found_);
  for (std::int32_t& found : found_) {
    if (found < 0) continue;
    ++filled_;
    if (options_.made_examples != nullptr) continue;
    std::int32_t& slot = slot_of_example_[static_cast<std::size_t>(found)];
    if (slot < 0) {
      slot = static_cast<std::int32_t>(numbers_.size());
      numbers_.push_back(found);
      rows_.push_back(source.pool()[static_cast<std::size_t>(found)]);
    }
    found = slot;
  }
  for (const Id number : numbers_) slot_of_example_[static_cast<std::size_t>(number)] = -1;
  return rows_;
}

void FeatureBatcher::fill_examples() {
  std::copy(found_.begin(), found_.end(), block_.of_row);
  if (options_.made_examples != nullptr) return;
  std::copy(numbers_.begin(), numbers_.end(), block_.numbers);
  std::fill_n(block_.first_use, numbers_.size() + 1, std::int64_t{0});
  for (const std::int32_t example : found_) {
    if (example >= 0) ++block_.first_use[example + 1];
  }
  std::partial_sum(block_.first_use, block_.first_use + numbers_.size() + 1, block_.first_use);
  next_place_.assign(block_.first_use, block_.first_use + numbers_.size());
  for (std::size_t k = 0; k < found_.size(); ++k) {
    if (found_[k] < 0) continue;
    block_.use[next_place_[static_cast<std::size_t>(found_[k])]++] = static_cast<std::int32_t>(k);
  }
}

ExampleRows FeatureBatcher::view_examples(const Block& block) const {
  std::int64_t positions = 0;
  for (std::size_t k = static_cast<std::size_t>(own_rows_); k < segments_.size(); ++k) {
    positions += segments_[k].end - segments_[k].begin;
  }
  return {.n = std::ssize(numbers_),
          .each = each_,
          .filled = filled_,
          .positions = options_.sequence ? positions : 0,
          .number = options_.made_examples == nullptr ? block.numbers : nullptr,
          .of_row = block.of_row,
          .first_use = block.first_use,
          .use = block.use,
          .made = options_.made_examples};
}

}  // namespace sllmr
