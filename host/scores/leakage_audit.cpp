#include "host/scores/leakage_audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

namespace sllmr {
namespace {

constexpr double kRare = 1e-3;  // probability below which a count is none of chance

/// Chance by controls matched on popularity: whether a user got an item that is held out is compared with the
/// items next to it in popularity which the user has not touched either.
class MatchedControls {
 public:
  explicit MatchedControls(const Split& split) : split_(split) {
    const auto rows = static_cast<std::size_t>(split.data->items.rows());
    order_.resize(rows - 1);
    std::iota(order_.begin(), order_.end(), Id{1});
    std::ranges::stable_sort(order_, {}, [&](Id item) { return split.popularity[item]; });
    rank_.resize(rows);
    for (std::size_t k = 0; k < order_.size(); ++k) rank_[order_[k]] = static_cast<std::ptrdiff_t>(k);
    touched_by_.assign(rows, 0);
    shown_to_.assign(rows, 0);
  }

  void begin_user(Id user) {
    user_ = user;
    untouched_ = static_cast<double>(split_.data->items.count());
    for (const Id item : split_.data->user_history(user)) {
      untouched_ -= touched_by_[item] != user;
      touched_by_[item] = user;
    }
    shown_ = 0;
  }
  void add_candidate(Id item) {
    shown_to_[item] = user_;
    ++shown_;
  }
  /// The chance that `item`, held out of the user's history, is one of the candidates; one uniform draw of as
  /// many counts as a control, so that it is never nothing.
  double chance_of(Id item) const {
    constexpr int kControls = 20;
    int controls = 0, hits = 0;
    const auto last = static_cast<std::ptrdiff_t>(order_.size()) - 1;
    for (std::ptrdiff_t below = rank_[item] - 1, above = rank_[item] + 1;
         controls < kControls && (below >= 0 || above <= last);) {
      for (std::ptrdiff_t* at : {&below, &above}) {
        if (*at < 0 || *at > last) continue;
        const Id control = order_[*at];
        *at += at == &below ? -1 : 1;
        if (touched_by_[control] == user_) continue;
        ++controls;
        hits += shown_to_[control] == user_;
      }
    }
    const double uniform = std::min(1.0, shown_ / (untouched_ + 1));
    return (hits + uniform) / (controls + 1);
  }

 private:
  const Split& split_;
  std::vector<Id> order_;             // by popularity
  std::vector<std::ptrdiff_t> rank_;  // by item: its index in order_
  std::vector<Id> touched_by_, shown_to_;
  Id user_ = 0;
  double untouched_ = 0, shown_ = 0;
};

}  // namespace

bool LeakageAudit::too_many() const {
  // P(X >= found) of a Poisson distribution is a regularised gamma function of its mean.
  return held_out_candidates > 0 &&
         boost::math::gamma_p(static_cast<double>(held_out_candidates), held_out_expected) < kRare;
}

bool LeakageAudit::too_few() const {
  // P(X <= found).
  return boost::math::gamma_q(static_cast<double>(held_out_candidates) + 1, held_out_expected) < kRare;
}

LeakageAudit audit_table(const ScoreTable& table, const Split& split) {
  LeakageAudit audit;
  const Dataset& data = *split.data;
  const auto in = [](std::span<const Id> list, Id item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  const auto is_probe = [&](Id user, std::size_t k) {
    return static_cast<std::int32_t>(k) == table.probe[user];
  };
  std::vector<std::int64_t> shown(static_cast<std::size_t>(data.items.rows()), 0);  // probes do not count
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto items = table.items_of(user);
    const auto train = split.train_items(user);
    const auto held_out = data.user_history(user).subspan(train.size());
    for (std::size_t k = 0; k < items.size(); ++k) {
      const bool known = in(train, items[k]);
      if (is_probe(user, k)) {
        ++audit.probes;
        audit.probes_not_in_training += !known;
        continue;
      }
      ++audit.candidates;
      ++shown[items[k]];
      audit.training_candidates += known;
      audit.held_out_candidates += !known && in(held_out, items[k]);
    }
  }
  MatchedControls controls(split);
  double by_others = 0, by_controls = 0;
  std::vector<Id> held_out;
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto items = table.items_of(user);
    const auto own = static_cast<double>(items.size()) - (table.probe[user] >= 0 ? 1.0 : 0.0);
    if (own == 0) continue;
    controls.begin_user(user);
    for (std::size_t k = 0; k < items.size(); ++k) {
      if (!is_probe(user, k)) controls.add_candidate(items[k]);
    }
    const auto train = split.train_items(user);
    const auto rest = data.user_history(user).subspan(train.size());
    held_out.assign(rest.begin(), rest.end());
    std::sort(held_out.begin(), held_out.end());
    held_out.erase(std::unique(held_out.begin(), held_out.end()), held_out.end());
    for (const Id item : held_out) {
      if (in(train, item)) continue;
      std::int64_t others = shown[item];
      for (std::size_t k = 0; k < items.size(); ++k) others -= items[k] == item && !is_probe(user, k);
      const double share =
          (static_cast<double>(others) + own / static_cast<double>(data.items.count())) /
          static_cast<double>(audit.candidates);  // of the others' candidates and `own` uniform draws
      by_others += std::min(1.0, own * share);
      by_controls += controls.chance_of(item);
    }
  }
  audit.held_out_expected = std::max(by_others, by_controls);
  return audit;
}

std::string leak_text(const LeakageAudit& audit) {
  return fmt::format(
      "{} of the users' validation and test items are among their {} candidates, where chance puts {:.1f}",
      audit.held_out_candidates, audit.candidates, audit.held_out_expected);
}

}  // namespace sllmr
