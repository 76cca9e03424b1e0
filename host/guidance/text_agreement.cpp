#include "host/guidance/text_agreement.h"

#include <algorithm>

namespace sllmr {

namespace {

/// Of an item in training.
struct Company {
  double users = 0;           // who have it
  double with_neighbour = 0;  // those of them who have one of its neighbours as well
  double by_chance = 0;       // their share, were that independent

  double above_chance() const { return with_neighbour - users * by_chance; }
};

/// Every user's training items, each once, ascending.
std::vector<std::vector<Id>> items_by_user(const Split& split) {
  std::vector<std::vector<Id>> by_user(static_cast<std::size_t>(split.data->users.rows()));
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    const auto train = split.train_items(user);
    std::vector<Id>& items = by_user[static_cast<std::size_t>(user)];
    items.assign(train.begin(), train.end());
    std::ranges::sort(items);
    items.erase(std::unique(items.begin(), items.end()), items.end());
  }
  return by_user;
}

std::vector<Company> companies(const Split& split, std::span<const Id> nearest, std::size_t k) {
  std::vector<Company> out(static_cast<std::size_t>(split.data->items.rows()));
  const auto neighbours = [&](std::size_t item) { return nearest.subspan(item * k, k); };
  for (const std::vector<Id>& items : items_by_user(split)) {
    for (const Id item : items) {
      const auto at = static_cast<std::size_t>(item);
      const bool has_neighbour = std::ranges::any_of(
          neighbours(at), [&](Id other) { return std::ranges::binary_search(items, other); });
      out[at].users += 1;
      out[at].with_neighbour += has_neighbour ? 1 : 0;
    }
  }
  const auto users = static_cast<double>(split.data->users.count());
  for (std::size_t item = 1; item < out.size(); ++item) {
    double without = 1;
    for (const Id other : neighbours(item)) without *= 1 - out[static_cast<std::size_t>(other)].users / users;
    out[item].by_chance = 1 - without;
  }
  return out;
}

}  // namespace

std::vector<float> text_agreement(const Split& split, std::span<const Id> nearest, std::size_t k) {
  constexpr double kAsMany = 5;
  const std::vector<Company> items = companies(split, nearest, k);
  double above = 0, most = 0;
  for (const Company& each : items) {
    above += each.above_chance();
    most += each.users * (1 - each.by_chance);
  }
  const double of_all = most > 0 ? above / most : 0;
  std::vector<float> agreement(items.size());
  for (std::size_t item = 1; item < items.size(); ++item) {
    const Company& each = items[item];
    const double own = each.by_chance < 1 ? each.above_chance() / (1 - each.by_chance) : 0;
    agreement[item] =
        static_cast<float>(std::clamp((own + kAsMany * of_all) / (each.users + kAsMany), 0.0, 1.0));
  }
  return agreement;
}

}  // namespace sllmr
