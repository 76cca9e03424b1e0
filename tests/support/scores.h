// Tiny training interactions and LLM scores, as the samplers read them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "kernels/exec/memory.h"
#include "kernels/pair_sampler.h"
#include "kernels/triple_sampler.h"
#include "tests/support/world.h"

namespace sllmr {

/// Training interactions on the host, and on a device.
struct Interactions {
  std::vector<Id> users, items;
  InteractionIndex index;

  /// User u of `histories` is user u + 1; items in the order of the interactions.
  Interactions(const Context& context, const std::vector<std::vector<Id>>& histories, std::int32_t item_count,
               double negative_power = 0) {
    std::vector<std::int64_t> offsets{0, 0};
    for (std::size_t user = 0; user < histories.size(); ++user) {
      for (const Id item : histories[user]) {
        users.push_back(static_cast<Id>(user) + 1);
        items.push_back(item);
        pairs.emplace(static_cast<Id>(user) + 1, item);
      }
      offsets.push_back(static_cast<std::int64_t>(items.size()));
    }
    index = InteractionIndex(context, offsets, items, item_count, negative_power);
  }
  const InteractionView& view() const { return index.view(); }
  bool has(Id user, Id item) const { return pairs.contains({user, item}); }

  std::set<std::pair<Id, Id>> pairs;
};

/// Users with `least` .. `most` random distinct training items each.
inline Interactions make_interactions(const Context& context, Id users, Id least, Id most, Id items,
                                      std::uint64_t seed, double negative_power = 0) {
  TestNumbers numbers(seed);
  std::vector<std::vector<Id>> histories(static_cast<std::size_t>(users));
  for (auto& history : histories) {
    const auto length = static_cast<std::size_t>(numbers.id(least, most));
    while (history.size() < length) {
      const Id item = numbers.id(1, items);
      if (std::ranges::find(history, item) == history.end()) history.push_back(item);
    }
  }
  return {context, histories, items, negative_power};
}

/// One user's scored items, highest score first.
struct UserScores {
  std::vector<Id> items;
  std::vector<float> scores;
  std::int32_t probe = -1;
  std::vector<std::pair<std::uint16_t, std::uint16_t>> pairs;  // of largest score difference
};

/// A score table on the host, and on a device. User u of `users` is user u + 1.
struct Scores {
  std::vector<UserScores> users;
  Buffer<std::int64_t> offsets, pair_offsets;
  Buffer<ScoredItem> entries;
  Buffer<std::int32_t> probe;
  Buffer<std::uint16_t> first, second;

  Scores(const Context& context, std::vector<UserScores> of_users) : users(std::move(of_users)) {
    std::vector<std::int64_t> host_offsets{0, 0}, host_pair_offsets{0, 0};
    std::vector<ScoredItem> host_entries;
    std::vector<std::int32_t> host_probe{-1};
    std::vector<std::uint16_t> host_first, host_second;
    for (const UserScores& user : users) {
      for (std::size_t k = 0; k < user.items.size(); ++k) {
        host_entries.push_back({user.items[k], user.scores[k]});
      }
      host_probe.push_back(user.probe);
      for (const auto& [a, b] : user.pairs) {
        host_first.push_back(a);
        host_second.push_back(b);
      }
      host_offsets.push_back(static_cast<std::int64_t>(host_entries.size()));
      host_pair_offsets.push_back(static_cast<std::int64_t>(host_first.size()));
    }
    offsets = Buffer<std::int64_t>(context, host_offsets);
    pair_offsets = Buffer<std::int64_t>(context, host_pair_offsets);
    entries = Buffer<ScoredItem>(context, host_entries);
    probe = Buffer<std::int32_t>(context, host_probe);
    first = Buffer<std::uint16_t>(context, host_first);
    second = Buffer<std::uint16_t>(context, host_second);
  }
  ScoreView view() const {
    return {offsets.data(), entries.data(), probe.data(), pair_offsets.data(), first.data(), second.data()};
  }
  /// The score that `user` gives to `item`; the item must be scored.
  float score(Id user, Id item) const {
    const UserScores& of = users[static_cast<std::size_t>(user) - 1];
    return of.scores[static_cast<std::size_t>(std::ranges::find(of.items, item) - of.items.begin())];
  }
};

/// Scores with ties, users without entries, with one entry, with and without a probe.
inline Scores make_scores(const Context& context, Id users, Id items, std::uint64_t seed) {
  TestNumbers numbers(seed);
  std::vector<UserScores> all(static_cast<std::size_t>(users));
  for (UserScores& user : all) {
    const Id entries = numbers.id(0, 7);
    for (Id k = 0; k < entries; ++k) {
      user.items.push_back(1 + (k * 5 + static_cast<Id>(&user - all.data())) % items);
      user.scores.push_back(static_cast<float>(numbers.id(0, 5)) / 5.0F);
    }
    std::ranges::sort(user.scores, std::greater<>());
    if (entries > 0 && numbers.id(0, 2) > 0) user.probe = numbers.id(0, entries - 1);
    for (std::uint16_t k = 1; k < entries; ++k) {
      if (user.scores[0] > user.scores[k]) user.pairs.emplace_back(std::uint16_t{0}, k);
    }
  }
  return {context, std::move(all)};
}

}  // namespace sllmr
