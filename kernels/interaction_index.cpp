#include "kernels/interaction_index.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace sllmr {

InteractionIndex::InteractionIndex(const Context& context, std::span<const std::int64_t> offsets,
                                   std::span<const Id> items, std::int32_t n_items, double negative_power) {
  // A bit for every sixteenth at least; no hash has more than 32 bits.
  PairFilter filter;
  while (filter.log2_bits < 32 && (std::size_t{1} << filter.log2_bits) < 16 * items.size())
    ++filter.log2_bits;
  filter.per_user = static_cast<std::uint32_t>(
      std::max<std::uint64_t>(1, (std::uint64_t{1} << filter.log2_bits) / offsets.size()));
  // A sixteenth of the largest one is set, if it is no larger than a small part of a core's cache.
  std::int64_t most = 0;
  for (std::size_t user = 0; user + 1 < offsets.size(); ++user) {
    most = std::max(most, offsets[user + 1] - offsets[user]);
  }
  const auto wanted = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(16 * most)));
  filter.log2_window = std::min(std::clamp(wanted, 15, 19), filter.log2_bits);

  std::vector<Interaction> rows;
  std::vector<Id> sorted_items;
  std::vector<std::int64_t> sorted_offsets{0};
  std::vector<std::uint32_t> words((std::size_t{1} << filter.log2_bits) / 32);
  rows.reserve(items.size());
  sorted_items.reserve(items.size());
  for (std::size_t user = 0; user + 1 < offsets.size(); ++user) {
    const std::span own = items.subspan(static_cast<std::size_t>(offsets[user]),
                                        static_cast<std::size_t>(offsets[user + 1] - offsets[user]));
    const auto first = std::ssize(sorted_items);
    for (const Id item : own) {
      rows.push_back({static_cast<Id>(user), item});
      sorted_items.push_back(item);
      const std::uint32_t bit = filter.bit_of(static_cast<Id>(user), item);
      words[bit / 32] |= std::uint32_t{1} << (bit % 32);
    }
    std::sort(sorted_items.begin() + first, sorted_items.end());
    sorted_items.erase(std::unique(sorted_items.begin() + first, sorted_items.end()), sorted_items.end());
    sorted_offsets.push_back(std::ssize(sorted_items));
    if (std::ssize(sorted_items) - first == n_items) user_of_all_items_ = static_cast<Id>(user);
  }

  rows_ = Buffer<Interaction>(context, std::span<const Interaction>(rows));
  offsets_ = Buffer<std::int64_t>(context, std::span<const std::int64_t>(sorted_offsets));
  sorted_items_ = Buffer<Id>(context, std::span<const Id>(sorted_items));
  filter_ = Buffer<std::uint32_t>(context, std::span<const std::uint32_t>(words));
  filter.words = filter_.data();
  if (negative_power != 0) {
    std::vector<std::int64_t> taken(static_cast<std::size_t>(n_items));
    for (const Interaction& row : rows) ++taken[static_cast<std::size_t>(row.item) - 1];
    const std::vector<AliasCell> cells = alias_table(taken, negative_power);
    negatives_ = Buffer<AliasCell>(context, std::span<const AliasCell>(cells));
  }
  view_ = {.rows = rows_.data(),
           .offsets = offsets_.data(),
           .sorted_items = sorted_items_.data(),
           .filter = filter,
           .n = std::ssize(rows),
           .negatives = {negatives_.data(), n_items}};
}

}  // namespace sllmr
