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

/// See ExampleRows. The rows of the examples are the last ones of the features.
struct HostExamples {
  int each = 0;
  std::vector<Id> number;
  std::vector<std::int32_t> of_row;  // [rows x each]
};

/// bags[field][row]: the ids of one bag, without padding but for the brand's.
struct HostFeatures {
  std::array<std::vector<std::vector<Id>>, kFields> bags;
  std::vector<std::int64_t> first_position;  // [rows + 1] of a sequence batch, else empty
  HostExamples examples = {};

  /// Without the examples.
  std::size_t rows() const { return of(Field::user).size() - examples.number.size(); }

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
    const auto all_rows = static_cast<std::int32_t>(host.of(Field::user).size());
    batch_.rows = static_cast<std::int64_t>(host.rows());
    put_examples(context, host);
    batch_.sequence = !host.first_position.empty();
    if (batch_.sequence) {
      batch_.positions = host.first_position.back();
      std::vector<std::int32_t> row_of;
      for (std::int32_t row = 0; row < all_rows; ++row) {
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
      const HostPlan plan = plan_of(host, static_cast<Vocabulary>(v));
      if (static_cast<Vocabulary>(v) == Vocabulary::item) keys = put_items(context, host);
      const std::vector<Id> of_items = keys;
      for (const auto& [key, occurrences] : plan) {
        if (std::find(of_items.begin(), of_items.end(), key) == of_items.end()) keys.push_back(key);
      }
      for (const Id key : keys) {
        for (const auto& [f, bag] : plan.at(key)) {
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
  void put_examples(const Context& context, const HostFeatures& host) {
    const HostExamples& from = host.examples;
    if (from.each == 0) return;
    std::vector<std::int64_t> first_use{0};
    std::vector<std::int32_t> use;
    for (std::int32_t example = 0; example < static_cast<std::int32_t>(from.number.size()); ++example) {
      for (std::size_t k = 0; k < from.of_row.size(); ++k) {
        if (from.of_row[k] == example) use.push_back(static_cast<std::int32_t>(k));
      }
      first_use.push_back(static_cast<std::int64_t>(use.size()));
    }
    batch_.examples = {.n = std::ssize(from.number),
                       .each = from.each,
                       .filled = std::ssize(use),
                       .positions = host.first_position.empty()
                                        ? 0
                                        : host.first_position.back() - host.first_position[host.rows()],
                       .number = put(context, narrow_, from.number),
                       .of_row = put(context, narrow_, from.of_row),
                       .first_use = put(context, wide_, first_use),
                       .use = put(context, narrow_, use)};
  }
  /// The different items of the rows, whose numbers go to the batch.
  std::vector<Id> put_items(const Context& context, const HostFeatures& host) {
    std::vector<Id> different;
    std::vector<std::int32_t> number;
    for (const std::vector<Id>& bag : host.of(Field::item)) {
      if (bag.size() != 1) return {};
      const auto at = std::find(different.begin(), different.end(), bag[0]);
      number.push_back(static_cast<std::int32_t>(at - different.begin()));
      if (at == different.end()) different.push_back(bag[0]);
    }
    batch_.different_items = std::ssize(different);
    batch_.item_number = put(context, narrow_, number);
    return different;
  }
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

/// Makes the last `n` rows examples, of a pool of `pool`, of those before: up to `each` a row, some slots
/// empty, some examples in several.
inline void make_examples(TestNumbers& numbers, HostFeatures& features, int n, int each, Id pool) {
  features.examples.each = each;
  for (int k = 0; k < n; ++k) features.examples.number.push_back(numbers.id(0, pool - 1));
  const std::size_t slots = features.rows() * static_cast<std::size_t>(each);
  for (std::size_t k = 0; k < slots; ++k) {
    features.examples.of_row.push_back(k < static_cast<std::size_t>(n) ? static_cast<std::int32_t>(k)
                                                                       : numbers.id(-1, n - 1));
  }
}

}  // namespace sllmr
