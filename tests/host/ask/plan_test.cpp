#include "host/ask/plan.h"

#include <gmock/gmock.h>

#include <cmath>

#include "host/data/synthetic.h"
#include "tests/host/ask/toy_data.h"

namespace sllmr {
namespace {

class PlanTest : public testing::Test {
 protected:
  static SyntheticOptions options() {
    SyntheticOptions options;
    options.users = 300;
    options.items = 150;
    options.topics = 5;
    return options;
  }
  std::vector<CandidateSet> sets() const {
    CandidateOptions candidates;
    candidates.per_user = 12;
    return plan_candidates(split_, candidates);
  }
  std::vector<CandidateSet> choose(Priority priority, const Budget& budget) const {
    return choose_sets(split_, sets(), priority, budget, 1, [](const CandidateSet&) {
      return SetCost{2, 100, 0.5};
    });
  }
  static std::vector<Id> users(const std::vector<CandidateSet>& sets) {
    std::vector<Id> ids;
    for (const CandidateSet& set : sets) ids.push_back(set.user);
    return ids;
  }

  Dataset data_ = synthetic_dataset(options());
  Split split_ = leave_one_out(data_);
};

TEST_F(PlanTest, ThePlanIsCleanAndTheAuditFindsWhatIsNot) {
  auto plan = sets();
  EXPECT_TRUE(audit_plan(split_, plan).clean());
  CandidateSet& set = plan[5];
  const auto history = data_.user_history(set.user);
  set.history.push_back(history.back());  // the test item
  EXPECT_EQ(audit_plan(split_, plan).held_out_in_history, 1);
  set.history.back() = set.probe;
  EXPECT_EQ(audit_plan(split_, plan).probe_in_history, 1);
  set.history.pop_back();
  set.candidates.push_back(history.front());
  EXPECT_EQ(audit_plan(split_, plan).train_in_candidates, 1);
  EXPECT_FALSE(audit_plan(split_, plan).clean());
}

TEST_F(PlanTest, EveryLimitHolds) {
  EXPECT_EQ(choose(Priority::sampled, {7, 0, 0, 0}).size(), 7U);
  EXPECT_EQ(choose(Priority::sampled, {0, 9, 0, 0}).size(), 4U);
  EXPECT_EQ(choose(Priority::sampled, {0, 0, 550, 0}).size(), 5U);
  EXPECT_EQ(choose(Priority::sampled, {0, 0, 0, 1.5}).size(), 3U);
  EXPECT_EQ(choose(Priority::sampled, {0, 0, 50, 0}).size(), 0U);
  const auto all = choose(Priority::sampled, {});
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), [](auto& a, auto& b) { return a.user < b.user; }));
  EXPECT_NE(users(choose(Priority::sampled, {20, 0, 0, 0})), users({all.begin(), all.begin() + 20}));
}

TEST_F(PlanTest, PrioritiesTakeTheirUsersFirst) {
  const auto size = [&](const CandidateSet& set) { return split_.train_items(set.user).size(); };
  const auto chosen = choose(Priority::cold, {40, 0, 0, 0});
  std::size_t longest = 0;
  for (const CandidateSet& set : chosen) longest = std::max(longest, size(set));
  const auto taken = users(chosen);
  for (const CandidateSet& set : choose(Priority::cold, {})) {
    if (std::find(taken.begin(), taken.end(), set.user) == taken.end()) {
      EXPECT_GE(size(set), longest);
    }
  }
  const auto tail_share = [&](const std::vector<CandidateSet>& some) {
    double tail = 0, all = 0;
    for (const CandidateSet& set : some) {
      for (const Id item : split_.train_items(set.user)) {
        tail += split_.tail[item];
        ++all;
      }
    }
    return tail / all;
  };
  EXPECT_GT(tail_share(choose(Priority::tail, {40, 0, 0, 0})), 2 * tail_share(choose(Priority::sampled, {})));
  EXPECT_NE(users(choose(Priority::uncertain, {40, 0, 0, 0})),
            users(choose(Priority::sampled, {40, 0, 0, 0})));
}

}  // namespace
}  // namespace sllmr
