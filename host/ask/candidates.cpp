#include "host/ask/candidates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/exec/error.h"
#include "kernels/exec/parallel.h"
#include "kernels/exec/random.h"

namespace sllmr {
namespace {

void check(const CandidateOptions& options) {
  if (options.per_user < 2) {
    throw Error(fmt::format("{} candidates a user make no pair; ask for 2 or more", options.per_user));
  }
  if (options.prompt_history < 1) {
    throw Error(
        fmt::format("a prompt history of {} items says nothing; ask for 1 or more", options.prompt_history));
  }
  if (options.popularity_pool < 1) {
    throw Error(
        fmt::format("a popularity pool of {} items is empty; ask for 1 or more", options.popularity_pool));
  }
  if (!(options.tail_bottom > 0.0 && options.tail_bottom <= 1.0)) {
    throw Error(fmt::format("the tail share {} is not in (0, 1]", options.tail_bottom));
  }
}

/// What the items of the catalogue are drawn from, the same for all users.
struct Sources {
  std::vector<Id> by_popularity;         // all items, most popular first, ties by id
  std::vector<std::uint32_t> pool_mass;  // running sum of the pool's popularities
  std::uint32_t n_tail = 0;              // the last n_tail of by_popularity
};

Sources make_sources(const Split& split, const CandidateOptions& options) {
  Sources sources;
  sources.by_popularity.resize(split.data->items.count());
  std::iota(sources.by_popularity.begin(), sources.by_popularity.end(), 1);
  const auto popularity = [&](Id item) { return split.popularity[item]; };
  std::stable_sort(sources.by_popularity.begin(), sources.by_popularity.end(),
                   [&](Id a, Id b) { return popularity(a) > popularity(b); });

  const std::size_t pool =
      std::min(sources.by_popularity.size(), static_cast<std::size_t>(options.popularity_pool));
  std::uint32_t mass = 0;
  for (std::size_t k = 0; k < pool; ++k) {
    mass += static_cast<std::uint32_t>(popularity(sources.by_popularity[k]));
    sources.pool_mass.push_back(mass);
  }
  sources.n_tail = static_cast<std::uint32_t>(
      std::ceil(options.tail_bottom * static_cast<double>(sources.by_popularity.size())));
  return sources;
}

/// The random words of one user, one after the other.
class UserStream {
 public:
  UserStream(std::uint64_t seed, Id user) : seed_(seed), user_(static_cast<std::uint64_t>(user)) {}

  std::uint32_t below(std::uint32_t n) {
    if (used_ % 4 == 0) draw_ = philox(seed_, 0, user_, Purpose::candidates, used_ / 4);
    return sllmr::below(draw_.word[used_++ % 4], n);
  }

 private:
  std::uint64_t seed_, user_;
  Draw draw_{};
  std::uint32_t used_ = 0;
};

/// `owner` marks, by item, the last user who has the item in the history or among the candidates.
CandidateSet plan_user(const Split& split, const Sources& sources, const CandidateOptions& options, Id user,
                       std::vector<Id>& owner) {
  CandidateSet set;
  set.user = user;
  auto train = split.train_items(user);
  for (const Id item : train) owner[item] = user;
  if (train.size() >= 2) {
    set.probe = train.back();
    set.candidates.push_back(set.probe);
    train = train.first(train.size() - 1);
  }
  const auto shown = train.last(std::min(train.size(), static_cast<std::size_t>(options.prompt_history)));
  for (const Id item : shown) {
    // A repeat purchase may show the probe earlier in the history; the prompt must not give it away.
    if (item != set.probe) set.history.push_back(item);
  }

  const auto wanted = std::min(static_cast<std::size_t>(options.per_user), sources.by_popularity.size());
  const auto take = [&](Id item) {
    if (owner[item] == user) return;
    owner[item] = user;
    set.candidates.push_back(item);
  };
  UserStream random(options.seed, user);
  const auto& items = sources.by_popularity;
  const auto n_items = static_cast<std::uint32_t>(items.size());
  // Draws until `size` candidates are there; gives up on a source that is nearly used up.
  const auto draw_until = [&](std::size_t size, auto&& draw) {
    for (std::size_t tries = 8 * size; tries > 0 && set.candidates.size() < size; --tries) take(draw());
  };
  const std::size_t missing = wanted - set.candidates.size();
  const std::size_t popular = split.cold[user] ? missing / 4 : missing / 2;
  const std::size_t tail = missing / 4;
  if (sources.pool_mass.back() > 0) {
    draw_until(set.candidates.size() + popular, [&] {
      const std::uint32_t at = random.below(sources.pool_mass.back());
      const auto found = std::upper_bound(sources.pool_mass.begin(), sources.pool_mass.end(), at);
      return items[found - sources.pool_mass.begin()];
    });
  }
  draw_until(set.candidates.size() + tail, [&] { return items[n_items - 1 - random.below(sources.n_tail)]; });
  draw_until(wanted, [&] { return items[random.below(n_items)]; });
  // A small catalogue: whatever is left, from a random place on.
  const std::uint32_t start = random.below(n_items);
  for (std::uint32_t k = 0; k < n_items && set.candidates.size() < wanted; ++k)
    take(items[(start + k) % n_items]);

  for (std::size_t k = set.candidates.size(); k > 1; --k) {
    std::swap(set.candidates[k - 1], set.candidates[random.below(static_cast<std::uint32_t>(k))]);
  }
  return set;
}

}  // namespace

std::vector<CandidateSet> plan_candidates(const Split& split, const CandidateOptions& options) {
  check(options);
  std::vector<CandidateSet> sets(split.data->users.count());
  if (sets.empty() || split.data->items.count() == 0) return {};
  const Sources sources = make_sources(split, options);
  const auto n_sets = static_cast<std::int64_t>(sets.size());
  on_shares(default_threads(), n_sets, [&](int, std::int64_t first, std::int64_t last) {
    std::vector<Id> owner(split.data->items.rows(), 0);
    for (std::int64_t k = first; k < last; ++k) {
      sets[k] = plan_user(split, sources, options, static_cast<Id>(k + 1), owner);
    }
  });
  return sets;
}

}  // namespace sllmr
