#include "host/train/fresh_negatives.h"

#include <algorithm>

#include "kernels/exec/random.h"

namespace sllmr {

namespace {

/// Items that a user may not get, sorted.
std::vector<Id> sorted_training_items(const Split& split, Id user) {
  const auto train = split.train_items(user);
  std::vector<Id> own(train.begin(), train.end());
  std::sort(own.begin(), own.end());
  return own;
}

}  // namespace

FreshNegatives::FreshNegatives(const Config& config, const Split& split) : config_(config), split_(split) {
  const std::vector<std::int64_t> taken(split.popularity.begin() + 1, split.popularity.end());
  cells_ = alias_table(taken, config.train.negative_power);
}

void FreshNegatives::draw(std::uint32_t epoch, std::span<CtrRow> rows) const {
  std::vector<Id> own;
  Id user = 0;
  const ItemDraws negatives{cells_.empty() ? nullptr : cells_.data(), split_.data->items.count()};
  for (std::size_t k = 1; k < rows.size(); k += 2) {
    if (const auto shown = split_.data->negatives_at(rows[k].user, rows[k].position); !shown.empty()) {
      const std::uint32_t word = philox(config_.seed, epoch, k, Purpose::negative, 0).word[0];
      rows[k].item = shown[below(word, static_cast<std::uint32_t>(shown.size()))];
      continue;
    }
    if (rows[k].user != user) {
      user = rows[k].user;
      own = sorted_training_items(split_, user);
    }
    rows[k].item = 0;
    for (std::uint32_t block = 0; rows[k].item == 0; ++block) {
      const Draw draw = philox(config_.seed, epoch, k, Purpose::negative, block);
      for (int each = 0; each < negatives.candidates(block) && rows[k].item == 0; ++each) {
        const Id item = negatives.candidate(draw, block, each);
        if (!std::binary_search(own.begin(), own.end(), item)) rows[k].item = item;
      }
    }
  }
}

}  // namespace sllmr
