#include "host/data/feature_source.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr {
namespace {

/// Items "i1", "i2", ... with these attributes, and one user who has taken them all.
Dataset data_with(const std::vector<std::vector<std::string>>& lists) {
  Dataset data;
  data.name = "small";
  data.users.add("u1");
  data.attribute_offsets = {0, 0};
  for (const auto& list : lists) {
    data.history.push_back(data.items.add("i" + std::to_string(data.items.rows())));
    for (const std::string& value : list) data.item_attributes.push_back(data.attributes.add(value));
    data.attribute_offsets.push_back(static_cast<std::int64_t>(data.item_attributes.size()));
  }
  data.history_offsets = {0, 0, static_cast<std::int64_t>(data.history.size())};
  return data;
}

std::vector<std::vector<Id>> categories_of(const FeatureSource& source) {
  std::vector<std::vector<Id>> out;
  for (std::size_t item = 1; item < static_cast<std::size_t>(source.item_rows); ++item) {
    out.emplace_back(source.categories.begin() + source.category_offsets[item],
                     source.categories.begin() + source.category_offsets[item + 1]);
  }
  return out;
}

TEST(FeatureSource, AValueThatIsEverNotTheFirstIsACategory) {
  // "skin" comes first in the last list, where the brand was not kept; "acme" never comes later.
  const Dataset data = data_with({{"acme", "hair", "skin"}, {"zeta", "hair"}, {}, {"acme"}, {"skin", "oil"}});
  const FeatureSource source = feature_source(data);
  EXPECT_EQ(source.brands, (std::vector<Id>{0, 1, 2, 0, 1, 0}));
  EXPECT_EQ(categories_of(source), (std::vector<std::vector<Id>>{{1, 2}, {1}, {}, {}, {2, 3}}));
  EXPECT_EQ(source.brand_rows, 3);
  EXPECT_EQ(source.category_rows, 4);
  EXPECT_EQ(source.user_rows, 2);
  EXPECT_EQ(source.item_rows, 6);
  EXPECT_EQ(source.history.size(), 5U);
  EXPECT_EQ(source.user_token(1), "u1");
}

TEST(FeatureSource, WithoutAttributesThereAreNone) {
  for (const bool with_offsets : {true, false}) {
    Dataset data = data_with({{}, {}});
    if (!with_offsets) data.attribute_offsets.clear();
    const FeatureSource source = feature_source(data);
    EXPECT_EQ(source.brand_rows, 1);
    EXPECT_EQ(source.category_rows, 1);
    EXPECT_EQ(source.brands, std::vector<Id>(3));
    EXPECT_EQ(source.category_offsets, std::vector<std::int64_t>(4));
  }
}

TEST(FeatureSource, LabelsDecideWhereThereAreSome) {
  using enum AttributeKind;
  Dataset data = data_with({{"hair", "acme"}, {"acme", "hair"}, {"skin"}, {"oil"}});
  data.attribute_kinds = {category, brand, category, brand, unlabelled, category};
  const FeatureSource source = feature_source(data);
  EXPECT_EQ(source.brands, (std::vector<Id>{0, 1, 2, 0, 0}));
  EXPECT_EQ(categories_of(source), (std::vector<std::vector<Id>>{{1}, {2}, {3}, {4}}))
      << "acme, hair are both";
  // Without labelled brands the unlabelled ones are told apart by place, among themselves.
  data.attribute_kinds = {category, unlabelled, unlabelled, category, unlabelled, category};
  EXPECT_EQ(feature_source(data).brands, (std::vector<Id>{0, 1, 1, 2, 0}));
}

TEST(FeatureHash, SeesWhatEachItemsBrandAndCategoriesAre) {
  const std::uint64_t hash = feature_hash(data_with({{"acme", "hair"}, {"zeta", "hair"}}));
  EXPECT_EQ(feature_hash(data_with({{"acme", "hair"}, {"zeta", "hair"}})), hash);
  EXPECT_NE(feature_hash(data_with({{"zeta", "hair"}, {"acme", "hair"}})), hash);
  EXPECT_NE(feature_hash(data_with({{"acme", "hair"}, {"zeta"}})), hash);
  EXPECT_NE(feature_hash(data_with({{"acme", "hair"}, {"zeta", "skin"}})), hash);
}

}  // namespace
}  // namespace sllmr
