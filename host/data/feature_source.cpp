#include "host/data/feature_source.h"

#include "host/data/dataset.h"
#include "host/data/fnv.h"

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

/// By attribute: whether it is a category, and not a brand.
std::vector<std::uint8_t> find_categories(const Dataset& data) {
  std::vector<std::uint8_t> is_category(static_cast<std::size_t>(data.attributes.rows()));
  for (Id item = 1; item < data.items.rows(); ++item) {
    const std::span<const Id> list = data.attributes_of(item);
    for (std::size_t k = 1; k < list.size(); ++k) is_category[static_cast<std::size_t>(list[k])] = 1;
  }
  return is_category;
}

}  // namespace

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

  const std::vector<std::uint8_t> is_category = find_categories(data);
  DenseIds brands(data.attributes.rows()), categories(data.attributes.rows());
  for (Id item = 1; item < source.item_rows; ++item) {
    for (const Id value : data.attributes_of(item)) {
      if (is_category[static_cast<std::size_t>(value)] != 0) {
        source.categories.push_back(categories.of(value));
      } else {  // the first of the list
        source.brands[static_cast<std::size_t>(item)] = brands.of(value);
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
  Fnv fnv;
  if (data.item_attributes.empty()) return fnv.value();
  const std::vector<std::uint8_t> is_category = find_categories(data);
  for (Id item = 1; item < data.items.rows(); ++item) {
    const auto attributes = data.attributes_of(item);
    fnv.add_number(attributes.size(), 4);
    for (const Id value : attributes) {
      fnv.add_byte(is_category[static_cast<std::size_t>(value)]);
      fnv.add_token(data.attributes.token(value));
    }
  }
  return fnv.value();
}

}  // namespace sllmr
