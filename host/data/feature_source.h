// What the features of a data set are made of: histories, and of each item its brand and its categories.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/exec/types.h"

namespace sllmr {

struct Dataset;
enum class AttributeKind : std::uint8_t;

/// Ids are those of the data set; brands and categories have their own, dense from 1 in the order of their
/// first item. All row counts include the padding, id 0.
struct FeatureSource {
  std::string name;  // of the data, for messages
  Id user_rows = 1, item_rows = 1, brand_rows = 1, category_rows = 1;
  std::span<const std::int64_t> history_offsets;  // [user_rows + 1]
  std::span<const Id> history;                    // items of a user, oldest first
  std::vector<Id> brands;                         // [item_rows], 0: none
  std::vector<std::int64_t> category_offsets;     // [item_rows + 1]
  std::vector<Id> categories;
  bool user_id = true;                             // whether the user's id is a feature
  std::function<std::string_view(Id)> user_token;  // what the data call a user
};

/// Of each entry of `data.item_attributes` whether it is a brand or a category: as the data label it, or by
/// its place, as feature_source() has it.
std::vector<AttributeKind> attribute_kinds(const Dataset& data);

/// An item's brand is the first attribute that the data label as brand, its categories are those labelled so.
/// Unlabelled attributes are categories where the data label brands. Where they do not, a value that is not
/// the first of some item's unlabelled ones, or is a labelled category, is a category everywhere, and an
/// item's brand is the first of its unlabelled ones unless that is a category. (The lists of Amazon's 5-core
/// sets as S3-Rec published them are unlabelled and begin with the brand where it was kept.) Without
/// attributes there are no brands and no categories: brand_rows and category_rows are 1. `data` must outlive
/// the result.
FeatureSource feature_source(const Dataset& data);

/// Hash of each item's brand and categories by name, in id order: what deep backbones read beside users,
/// items and histories.
std::uint64_t feature_hash(const Dataset& data);

}  // namespace sllmr
