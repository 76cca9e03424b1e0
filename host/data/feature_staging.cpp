// What of a batch names rows that are fetched for it.
#include "host/data/features.h"

namespace sllmr {

namespace {

/// Has each bag of the field one id? It is its vocabulary's first field then, and the bag's number says where
/// its id stands.
constexpr bool has_one_id(Field field) {
  return field == Field::user || field == Field::item || field == Field::brand;
}

}  // namespace

void FeatureBatcher::fill_staged(Vocabulary vocabulary) {
  const auto v = static_cast<std::size_t>(vocabulary);
  Id* const to = block_.staged[v];
  std::int64_t n = 0;
  for_each_bag(vocabulary, [&](std::span<const Id> ids, int field, std::int64_t bag) {
    if (!has_one_id(static_cast<Field>(field))) block_.staged_begin[field][bag] = n;
    for (const Id id : ids) {
      to[n] = options_.plans ? slot_of_[static_cast<std::size_t>(n)] : id;
      ++n;
    }
  });
  staged_[v] = n;
}

std::span<const Id> FeatureBatcher::wanted(Vocabulary vocabulary) const {
  const auto v = static_cast<std::size_t>(vocabulary);
  return options_.plans ? std::span<const Id>(block_.keys[v], static_cast<std::size_t>(keys_[v]))
                        : std::span<const Id>(block_.staged[v], static_cast<std::size_t>(staged_[v]));
}

void FeatureBatcher::number_rows(Vocabulary vocabulary, std::span<const Id> numbers) {
  const auto v = static_cast<std::size_t>(vocabulary);
  require(numbers.size() == wanted(vocabulary).size(), "FeatureBatcher::number_rows: one number for each");
  for (std::int64_t k = 0; k < staged_[v]; ++k) {
    const std::int64_t of = options_.plans ? block_.staged[v][k] : k;
    block_.staged[v][k] = numbers[static_cast<std::size_t>(of)];
  }
}

void FeatureBatcher::view_staged(const Block& block, const std::int64_t* index, FeatureBatch& batch) const {
  for (std::size_t f = 0; f < batch.fields.size(); ++f) {
    const auto field = static_cast<Field>(f);
    if (!is_staged(field)) continue;
    batch.staged[f] = {block.staged[static_cast<std::size_t>(vocabulary_of(field))],
                       has_one_id(field) ? index : block.staged_begin[f], batch.fields[f].length};
  }
}

}  // namespace sllmr
