#include "host/data/dataset.h"

#include <limits>

#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"

namespace sllmr {
namespace {

void add_vocabulary(Fnv<std::uint64_t>& fnv, const TokenMap& vocabulary) {
  fnv.add_number(static_cast<std::uint64_t>(vocabulary.count()), 8);
  for (Id id = 1; id < vocabulary.rows(); ++id) fnv.add_token(vocabulary.token(id));
}

}  // namespace

std::uint32_t TokenMap::hash_of(std::string_view token) {
  const std::uint64_t hash = std::hash<std::string_view>{}(token);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

Id TokenMap::add(std::string_view token, std::uint32_t hash) {
  if (token.empty()) return 0;
  std::size_t slot = slot_of(token, hash);
  if (slots_[slot].id != 0) return slots_[slot].id;
  require(rows() < std::numeric_limits<Id>::max(), "more than 2^31 - 2 tokens; ids have 32 bits");
  if (4 * begins_.size() > 3 * slots_.size()) {
    grow();
    slot = slot_of(token, hash);
  }
  const Id id = rows();
  pool_ += token;
  begins_.push_back(pool_.size());
  slots_[slot] = {hash, id, pool_.size() - token.size()};
  return id;
}

Id TokenMap::find(std::string_view token) const {
  return slots_[slot_of(token, hash_of(token))].id;
}

std::size_t TokenMap::slot_of(std::string_view token, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash & mask;
  const auto is_it = [&](const Slot& at) {
    return at.hash == hash && pool_.compare(at.begin, token.size(), token) == 0 &&
           begins_[static_cast<std::size_t>(at.id) + 1] == at.begin + token.size();
  };
  while (slots_[slot].id != 0 && !is_it(slots_[slot])) slot = (slot + 1) & mask;
  return slot;
}

void TokenMap::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& entry : old) {
    if (entry.id == 0) continue;
    std::size_t slot = entry.hash & mask;
    while (slots_[slot].id != 0) slot = (slot + 1) & mask;
    slots_[slot] = entry;
  }
}

std::uint64_t content_hash(const Dataset& data) {
  Fnv<std::uint64_t> fnv;
  add_vocabulary(fnv, data.users);
  add_vocabulary(fnv, data.items);
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto items = data.user_history(user);
    fnv.add_number(items.size(), 8);
    for (const Id item : items) fnv.add_number(static_cast<std::uint64_t>(item), 4);
    if (data.held_out.empty()) continue;
    const HeldOut held = data.held_out[static_cast<std::size_t>(user)];
    const bool leave_one_out = items.size() >= 3;
    if (held.validation == leave_one_out && held.test == leave_one_out) continue;
    fnv.add_number(0xFFFFFFFF, 4);  // no item's id
    fnv.add_byte(held.validation ? 1 : 0);
    fnv.add_byte(held.test ? 1 : 0);
  }
  if (data.negatives.empty()) return fnv.value();
  std::vector<std::uint64_t> groups{0};
  for (std::size_t group = 1; group + 1 < data.negative_offsets.size(); ++group) {
    Fnv<std::uint64_t> of_group;
    for (std::int64_t k = data.negative_offsets[group]; k < data.negative_offsets[group + 1]; ++k)
      of_group.add_number(static_cast<std::uint64_t>(data.negatives[static_cast<std::size_t>(k)]), 4);
    groups.push_back(of_group.value());
  }
  for (const std::int32_t group : data.negative_group)
    fnv.add_number(groups[static_cast<std::size_t>(group)], 8);
  return fnv.value();
}

std::uint64_t text_hash(const Dataset& data) {
  Fnv<std::uint64_t> fnv;
  for (Id item = 1; item < data.items.rows(); ++item) {
    fnv.add_token(data.titles[item]);
    const auto attributes = data.attributes_of(item);
    fnv.add_number(attributes.size(), 4);
    for (const Id attribute : attributes) fnv.add_token(data.attributes.token(attribute));
  }
  return fnv.value();
}

}  // namespace sllmr
