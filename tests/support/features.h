// Batches of features from plain lists, put together the naive way.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "kernels/exec/memory.h"
#include "models/features.h"
#include "tests/support/world.h"

namespace sllmr {

/// bags[field][row]: the ids of one bag, without padding but for the brand's.
struct HostFeatures {
  std::array<std::vector<std::vector<Id>>, kFields> bags;
  std::vector<std::int64_t> first_position;  // [rows + 1] of a sequence batch, else empty

  std::vector<std::vector<Id>>& of(Field field) { return bags[static_cast<std::size_t>(field)]; }
  const std::vector<std::vector<Id>>& of(Field field) const { return bags[static_cast<std::size_t>(field)]; }
};

/// What a plan says, on the host: for each key its (field, row) in order.
using HostPlan = std::map<Id, std::vector<std::pair<int, int>>>;

inline HostPlan plan_of(const HostFeatures& features, Vocabulary vocabulary) {
  HostPlan plan;
  for (int f = 0; f < kFields; ++f) {
    if (vocabulary_of(static_cast<Field>(f)) != vocabulary) continue;
    const auto& bags = features.of(static_cast<Field>(f));
    for (int row = 0; row < static_cast<int>(bags.size()); ++row) {
      for (const Id id : bags[static_cast<std::size_t>(row)]) {
        auto& occurrences = plan[id];
        if (id != 0) occurrences.emplace_back(f, row);
      }
    }
  }
  return plan;
}

/// Features on a device.
class DeviceFeatures {
 public:
  DeviceFeatures(const Context& context, const HostFeatures& host) {
    batch_.rows = static_cast<std::int64_t>(host.of(Field::user).size());
    batch_.sequence = !host.first_position.empty();
    if (batch_.sequence) {
      batch_.positions = host.first_position.back();
      std::vector<std::int32_t> row_of;
      for (std::int32_t row = 0; row < batch_.rows; ++row) {
        row_of.resize(static_cast<std::size_t>(host.first_position[static_cast<std::size_t>(row) + 1]), row);
      }
      batch_.first_position = put(context, wide_, host.first_position);
      batch_.row_of_position = put(context, narrow_, row_of);
    }
    for (std::size_t f = 0; f < host.bags.size(); ++f) {
      std::vector<Id> ids;
      std::vector<std::int64_t> begin;
      std::vector<std::int32_t> length;
      for (const auto& bag : host.bags[f]) {
        begin.push_back(static_cast<std::int64_t>(ids.size()));
        length.push_back(static_cast<std::int32_t>(bag.size()));
        ids.insert(ids.end(), bag.begin(), bag.end());
      }
      batch_.fields[f] = {put(context, narrow_, ids), put(context, wide_, begin),
                          put(context, narrow_, length)};
    }
    for (int v = 0; v < kVocabularies; ++v) {
      std::vector<Id> keys;
      std::vector<std::int64_t> offsets{0};
      std::vector<std::int8_t> field;
      std::vector<std::int32_t> row;
      for (const auto& [key, occurrences] : plan_of(host, static_cast<Vocabulary>(v))) {
        keys.push_back(key);
        for (const auto& [f, bag] : occurrences) {
          field.push_back(static_cast<std::int8_t>(f));
          row.push_back(bag);
        }
        offsets.push_back(static_cast<std::int64_t>(field.size()));
      }
      batch_.plans[static_cast<std::size_t>(v)] = {static_cast<std::int64_t>(keys.size()),
                                                   put(context, narrow_, keys), put(context, wide_, offsets),
                                                   put(context, bytes_, field), put(context, narrow_, row)};
    }
  }

  const FeatureBatch& batch() const { return batch_; }

 private:
  template <class T>
  static const T* put(const Context& context, std::vector<Buffer<T>>& to, const std::vector<T>& values) {
    return to.emplace_back(context, std::span<const T>(values)).data();
  }

  std::vector<Buffer<std::int32_t>> narrow_;
  std::vector<Buffer<std::int64_t>> wide_;
  std::vector<Buffer<std::int8_t>> bytes_;
  FeatureBatch batch_;
};

/// Random features: one user, item and brand (0 among them) a row, up to `most` categories and up to `most`
/// history items, some rows without. Histories repeat ids.
inline HostFeatures random_features(TestNumbers& numbers, int rows,
                                    const std::array<Id, kVocabularies>& table_rows, int most,
                                    bool sequence = false) {
  HostFeatures features;
  const auto id = [&](Vocabulary vocabulary, Id least) {
    return numbers.id(least, table_rows[static_cast<std::size_t>(vocabulary)] - 1);
  };
  const auto several = [&](Vocabulary vocabulary, int count) {
    std::vector<Id> ids;
    for (int k = 0; k < count; ++k) ids.push_back(id(vocabulary, 1));
    return ids;
  };
  if (sequence) features.first_position.push_back(0);
  for (int row = 0; row < rows; ++row) {
    features.of(Field::user).push_back({id(Vocabulary::user, 1)});
    features.of(Field::item).push_back({id(Vocabulary::item, 1)});
    features.of(Field::brand).push_back({id(Vocabulary::brand, 0)});
    features.of(Field::categories).push_back(several(Vocabulary::category, numbers.id(0, most)));
    const int length = numbers.id(0, most);
    if (!sequence) {
      features.of(Field::history_items).push_back(several(Vocabulary::item, length));
      features.of(Field::history_brands).push_back(several(Vocabulary::brand, numbers.id(0, length)));
      features.of(Field::history_categories)
          .push_back(several(Vocabulary::category, numbers.id(0, 3 * length)));
      continue;
    }
    for (int k = 0; k < length; ++k) {
      features.of(Field::history_items).push_back(several(Vocabulary::item, 1));
      features.of(Field::history_brands).push_back(several(Vocabulary::brand, numbers.id(0, 1)));
      features.of(Field::history_categories).push_back(several(Vocabulary::category, numbers.id(0, 3)));
    }
    features.first_position.push_back(features.first_position.back() + length);
  }
  return features;
}

}  // namespace sllmr
