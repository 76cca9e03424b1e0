#include "host/guidance/signals.h"

#include <gtest/gtest.h>

#include <iterator>
#include <string>
#include <vector>

namespace sllmr {
namespace {

/// Users whose items have these categories each, in the order of their histories; no two users share an item.
Dataset data_of(const std::vector<std::vector<Id>>& categories) {
  Dataset data;
  data.history_offsets = {0, 0};
  data.attribute_offsets = {0, 0};
  for (const std::vector<Id>& of_user : categories) {
    data.users.add("u" + std::to_string(data.users.rows()));
    for (const Id category : of_user) {
      data.history.push_back(data.items.add("i" + std::to_string(data.items.rows())));
      data.item_attributes.push_back(category);
      data.attribute_offsets.push_back(std::ssize(data.item_attributes));
    }
    data.history_offsets.push_back(std::ssize(data.history));
  }
  for (Id k = 1; k < 9; ++k) data.attributes.add("c" + std::to_string(k));
  return data;
}

std::vector<float> user_entropies(const Dataset& data) {
  std::vector<float> out;
  const Split split = leave_one_out(data);
  for (const UserSignals& user : user_signals(split, make_score_table(data, {}, "none")))
    out.push_back(user.user_entropy);
  return out;
}

TEST(UserEntropy, IsThatOfTheCategoriesOfTrainingItems) {
  // The last two items of each user are held out and must not count; row 0 is no user.
  Dataset data = data_of({{1, 1, 1, 1, 2, 3}, {1, 2, 3, 4, 1, 1}, {5, 5, 6, 6, 1, 2}, {7, 1, 2}});
  const std::vector<float> found = user_entropies(data),
                           expected{0, 0, 1, 0.5F, 0};  // log 2 / log 4; of one item 0
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t user = 0; user < found.size(); ++user)
    EXPECT_FLOAT_EQ(found[user], expected[user]) << user;

  data.attribute_kinds.assign(data.item_attributes.size(), AttributeKind::brand);
  EXPECT_EQ(user_entropies(data), std::vector<float>(5));
}

TEST(JudgeVariance, IsTheMeanOfTheUsersCandidates) {
  const Dataset data = data_of({{1, 1, 1, 1}, {1, 2, 3}});
  std::vector<LlmScore> scores = {{1, 1, 0.9F}, {1, 2, 0.5F}, {2, 5, 0.3F}};
  const auto of_users = [&] {
    std::vector<float> out;
    for (const UserSignals& user : user_signals(leave_one_out(data), make_score_table(data, scores, "test")))
      out.push_back(user.judge_variance);
    return out;
  };
  EXPECT_EQ(of_users(), std::vector<float>(3)) << "of a table that does not tell";
  scores[0].variance = 0.5F;
  scores[1].variance = 0.25F;
  EXPECT_EQ(of_users(), (std::vector<float>{0, 0.375F, 0}));
}

}  // namespace
}  // namespace sllmr
