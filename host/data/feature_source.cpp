#include "host/data/feature_source.h"

#include <algorithm>

#include "host/data/dataset.h"
#include "kernels/exec/fnv.h"

namespace sllmr {

namespace {

/// Numbers values densely from 1 in the order in which they come.
class DenseIds {
 public:
  explicit DenseIds(Id values) : ids_(static_cast<std::size_t>(values)) {}

  Id of(Id value) {
    Id& id = ids_[static_cast<std::size_t>(value)];
    if (id == 0) id = rows_++;
    return id;
  }
  Id rows() const { return rows_; }

 private:
  std::vector<Id> ids_;
  Id rows_ = 1;
};

}  // namespace

std::vector<AttributeKind> attribute_kinds(const Dataset& data) {
  std::vector<AttributeKind> kinds = data.attribute_kinds;
  kinds.resize(data.item_attributes.size(), AttributeKind::unlabelled);
  const bool brands_are_labelled = std::ranges::find(kinds, AttributeKind::brand) != kinds.end();
  std::vector<std::uint8_t> is_category(static_cast<std::size_t>(data.attributes.rows()),
                                        brands_are_labelled);
  const auto for_each_entry = [&](const auto& body) {
    for (Id item = 1; item < data.items.rows(); ++item) {
      const auto begin = static_cast<std::size_t>(data.attribute_offsets[item]),
                 end = static_cast<std::size_t>(data.attribute_offsets[item + 1]);
      bool first = true;  // of the unlabelled ones
      for (std::size_t k = begin; k < end; ++k) {
        body(kinds[k], static_cast<std::size_t>(data.item_attributes[k]), first);
        if (data.kind_of(k) == AttributeKind::unlabelled) first = false;
      }
    }
  };
  for_each_entry([&](AttributeKind kind, std::size_t value, bool first) {
    if (kind == AttributeKind::category || (kind == AttributeKind::unlabelled && !first))
      is_category[value] = 1;
  });
  for_each_entry([&](AttributeKind& kind, std::size_t value, bool) {
    if (kind != AttributeKind::unlabelled) return;
    kind = is_category[value] != 0 ? AttributeKind::category : AttributeKind::brand;
  });
  return kinds;
}

FeatureSource feature_source(const Dataset& data) {
  FeatureSource source;
  source.name = data.name;
  source.user_rows = data.users.rows();
  source.item_rows = data.items.rows();
  source.history_offsets = data.history_offsets;
  source.history = data.history;
  source.user_token = [&data](Id user) { return data.users.token(user); };
  source.brands.resize(static_cast<std::size_t>(source.item_rows));
  source.category_offsets.resize(static_cast<std::size_t>(source.item_rows) + 1);
  if (data.item_attributes.empty()) return source;

  const std::vector<AttributeKind> kinds = attribute_kinds(data);
  DenseIds brands(data.attributes.rows()), categories(data.attributes.rows());
  for (Id item = 1; item < source.item_rows; ++item) {
    const auto begin = static_cast<std::size_t>(data.attribute_offsets[item]),
               end = static_cast<std::size_t>(data.attribute_offsets[item + 1]);
    for (std::size_t k = begin; k < end; ++k) {
      Id& brand = source.brands[static_cast<std::size_t>(item)];
      if (kinds[k] == AttributeKind::category) {
        source.categories.push_back(categories.of(data.item_attributes[k]));
      } else if (brand == 0) {
        brand = brands.of(data.item_attributes[k]);
      }
    }
    source.category_offsets[static_cast<std::size_t>(item) + 1] =
        static_cast<std::int64_t>(source.categories.size());
  }
  source.brand_rows = brands.rows();
  source.category_rows = categories.rows();
  return source;
}

std::uint64_t feature_hash(const Dataset& data) {
  Fnv<std::uint64_t> fnv;
  if (data.item_attributes.empty()) return fnv.value();
  const std::vector<AttributeKind> kinds = attribute_kinds(data);
  for (Id item = 1; item < data.items.rows(); ++item) {
    const auto begin = static_cast<std::size_t>(data.attribute_offsets[item]),
               end = static_cast<std::size_t>(data.attribute_offsets[item + 1]);
    fnv.add_number(end - begin, 4);
    for (std::size_t k = begin; k < end; ++k) {
      fnv.add_byte(kinds[k] == AttributeKind::category ? 1 : 0);
      fnv.add_token(data.attributes.token(data.item_attributes[k]));
    }
  }
  return fnv.value();
}

}  // namespace sllmr
