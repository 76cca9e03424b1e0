#include "host/data/dataset.h"

#include <gmock/gmock.h>

namespace sllmr {
namespace {

TEST(VocabularyTest, StartsWithThePaddingTokenOnly) {
  const TokenMap vocabulary;
  EXPECT_EQ(vocabulary.rows(), 1);
  EXPECT_EQ(vocabulary.count(), 0);
  EXPECT_EQ(vocabulary.token(0), "");
  EXPECT_EQ(vocabulary.find("a"), 0);
}

TEST(VocabularyTest, TheEmptyTokenIsPadding) {
  TokenMap vocabulary;
  EXPECT_EQ(vocabulary.add(""), 0);
  EXPECT_EQ(vocabulary.find(""), 0);
  EXPECT_EQ(vocabulary.count(), 0);
}

TEST(VocabularyTest, NumbersTokensInOrderOfAdditionAndKnowsThemAgain) {
  TokenMap vocabulary;
  EXPECT_EQ(vocabulary.add("b"), 1);
  EXPECT_EQ(vocabulary.add("a"), 2);
  EXPECT_EQ(vocabulary.add("b"), 1);
  EXPECT_EQ(vocabulary.find("a"), 2);
  EXPECT_EQ(vocabulary.find("c"), 0);
  EXPECT_EQ(vocabulary.count(), 2);
}

TEST(VocabularyTest, KeepsManyTokensApartWhileItGrows) {
  TokenMap vocabulary;
  for (int k = 1; k <= 20'000; ++k) ASSERT_EQ(vocabulary.add("token" + std::to_string(k)), k);
  for (int k = 1; k <= 20'000; ++k) {
    ASSERT_EQ(vocabulary.find("token" + std::to_string(k)), k);
    ASSERT_EQ(vocabulary.token(k), "token" + std::to_string(k));
  }
  EXPECT_EQ(vocabulary.find("token20001"), 0);
}

TEST(VocabularyTest, ACopyIsIndependent) {
  TokenMap vocabulary;
  vocabulary.add("a");
  TokenMap copy = vocabulary;
  copy.add("b");
  EXPECT_EQ(copy.token(2), "b");
  EXPECT_EQ(vocabulary.find("b"), 0);
  EXPECT_EQ(vocabulary.rows(), 2);
}

/// User "u" took `first`, user "v" took `second`, all of items "a", "b".
Dataset two_users(std::vector<Id> first, const std::vector<Id>& second) {
  Dataset data;
  data.users.add("u");
  data.users.add("v");
  data.items.add("a");
  data.items.add("b");
  const auto middle = static_cast<std::int64_t>(first.size());
  data.history = std::move(first);
  data.history.insert(data.history.end(), second.begin(), second.end());
  data.history_offsets = {0, 0, middle, data.interactions()};
  return data;
}

TEST(ContentHashTest, IgnoresTextsAndNames) {
  Dataset data = two_users({1, 2}, {2});
  const std::uint64_t hash = content_hash(data);
  data.name = "other";
  data.titles = {"", "red", "blue"};
  data.attributes.add("colour");
  EXPECT_EQ(content_hash(data), hash);
}

TEST(ContentHashTest, SeesOrderUsersAndTokens) {
  const std::uint64_t hash = content_hash(two_users({1, 2}, {2}));
  EXPECT_NE(content_hash(two_users({2, 1}, {2})), hash);
  EXPECT_NE(content_hash(two_users({1}, {2, 2})), hash);
  Dataset renamed = two_users({1, 2}, {2});
  renamed.items = {};
  renamed.items.add("ab");
  renamed.items.add("b");
  EXPECT_NE(content_hash(renamed), hash);
}

TEST(ContentHashTest, IsTheSameInEveryRelease) {
  // Stored runs refer to it. The value is from an FNV-1a written apart, in another language.
  EXPECT_EQ(content_hash(two_users({1, 2}, {2})), 0xf4d168edf4268d87u);
}

TEST(TextHashTest, SeesTitlesAndAttributesOfTheirItemsAndNoInteractions) {
  Dataset data = two_users({1, 2}, {2});
  data.titles = {"", "red", "blue"};
  data.attributes.add("toys");
  data.attribute_offsets = {0, 0, 1, 1};
  data.item_attributes = {1};
  const std::uint64_t hash = text_hash(data);
  data.history = {2, 1, 2};
  EXPECT_EQ(text_hash(data), hash);
  std::swap(data.titles[1], data.titles[2]);
  EXPECT_NE(text_hash(data), hash);
  std::swap(data.titles[1], data.titles[2]);
  data.attribute_offsets = {0, 0, 0, 1};
  EXPECT_NE(text_hash(data), hash) << "the attribute is the other item's";
}

}  // namespace
}  // namespace sllmr
