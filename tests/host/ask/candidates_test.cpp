#include "host/ask/candidates.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "kernels/exec/parallel.h"
#include "tests/host/ask/toy_data.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using test::make_dataset;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

/// 300 users over 1000 items: everybody buys of the first 20 (the lower the id the more often), the even
/// users 4 training items (warm), the odd users 3 (cold), and two random items at the end for validation and
/// test.
class CandidatesTest : public testing::Test {
 protected:
  static constexpr Id kItems = 1000;
  static constexpr Id kPopular = 20;

  static std::vector<std::vector<Id>> histories() {
    std::vector<std::vector<Id>> all;
    for (Id u = 1; u <= 300; ++u) {
      const Id first = 1 + u % 5, second = 6 + u % 7, third = 13 + u % 4, fourth = 17 + u % 4;
      all.push_back({first, second, third});
      if (u % 2 == 0) all.back().push_back(fourth);
      all.back().insert(all.back().end(), {21 + u, 400 + u});
    }
    return all;
  }
  static CandidateOptions options() {
    CandidateOptions options;
    options.popularity_pool = kPopular;
    return options;
  }

  Dataset data_ = make_dataset(histories(), kItems);
  Split split_ = leave_one_out(data_);
};

TEST_F(CandidatesTest, EachUserGetsTheProbeAmongDistinctItemsOutsideTheTrainingHistory) {
  const auto sets = plan_candidates(split_, options());
  ASSERT_THAT(sets, SizeIs(300));
  for (const CandidateSet& set : sets) {
    const auto train = split_.train_items(set.user);
    EXPECT_EQ(set.probe, train.back());
    EXPECT_THAT(set.candidates, SizeIs(40));
    EXPECT_THAT(std::set<Id>(set.candidates.begin(), set.candidates.end()), SizeIs(40));
    EXPECT_EQ(std::count(set.candidates.begin(), set.candidates.end(), set.probe), 1);
    for (const Id item : train.first(train.size() - 1)) {
      EXPECT_EQ(std::count(set.candidates.begin(), set.candidates.end(), item), 0);
    }
  }
}

TEST_F(CandidatesTest, HistoryIsTheTrainingItemsBeforeTheProbeOldestFirst) {
  CandidateOptions two = options();
  two.prompt_history = 2;
  const auto sets = plan_candidates(split_, two);
  EXPECT_THAT(sets[1].history, ElementsAre(8, 15)) << "user 2 trains on 3, 8, 15, 19";
  EXPECT_THAT(plan_candidates(split_, options())[1].history, ElementsAre(3, 8, 15));
}

TEST_F(CandidatesTest, HeldOutItemsHaveNoInfluence) {
  auto changed = histories();
  for (auto& history : changed) {
    history[history.size() - 1] = 900;
    history[history.size() - 2] = 901;
  }
  const Dataset other = make_dataset(changed, kItems);
  const auto a = plan_candidates(split_, options()), b = plan_candidates(leave_one_out(other), options());
  for (std::size_t k = 0; k < a.size(); ++k) EXPECT_EQ(a[k].candidates, b[k].candidates);
}

TEST_F(CandidatesTest, QuotasComeFromThePoolTheTailAndTheWholeCatalogue) {
  CandidateOptions few = options();
  few.per_user = 13;
  // The tail, 100 items: those without training interactions come last, in id order.
  const Id first_of_tail = kItems - 100 + 1;
  double popular[2] = {0, 0}, tail[2] = {0, 0};
  for (const CandidateSet& set : plan_candidates(split_, few)) {
    const bool cold = split_.cold[set.user];
    for (const Id item : set.candidates) {
      if (item == set.probe) continue;
      popular[cold] += item <= kPopular;
      tail[cold] += item >= first_of_tail;
    }
  }
  // 150 users each. Of 12 items a warm user has 6 popular, a cold one 3, both 3 of the tail; the uniform rest
  // hits a popular item with probability 0.02 and one of the tail with 0.1.
  EXPECT_NEAR(popular[0] / 150, 6 + 3 * 0.02, 0.1);
  EXPECT_NEAR(popular[1] / 150, 3 + 6 * 0.02, 0.1);
  EXPECT_NEAR(tail[0] / 150, 3 + 3 * 0.1, 0.2);
  EXPECT_NEAR(tail[1] / 150, 3 + 6 * 0.1, 0.25);
}

TEST_F(CandidatesTest, PoolItemsComeInProportionToPopularity) {
  // Users 1 to 1200 have seen none of items 1 to 4, which have 4, 3, 2 and 1 training interactions.
  std::vector<std::vector<Id>> all;
  for (Id u = 0; u < 1200; ++u) all.push_back({100 + u});
  for (Id item = 1; item <= 4; ++item) all.insert(all.end(), static_cast<std::size_t>(5 - item), {item});
  const Dataset data = make_dataset(all, 2000);
  Split split = leave_one_out(data);
  std::fill(split.cold.begin(), split.cold.end(), 0);
  CandidateOptions two;
  two.per_user = 2;  // one from the pool, one uniform
  two.popularity_pool = 4;
  const auto sets = plan_candidates(split, two);
  std::vector<int> drawn(5, 0);
  for (std::size_t k = 0; k < 1200; ++k) {
    for (const Id item : sets[k].candidates) {
      if (item <= 4) ++drawn[item];
    }
  }
  // Within four standard deviations; the uniform candidates add one hit an item.
  EXPECT_NEAR(drawn[1], 480, 68);
  EXPECT_NEAR(drawn[2], 360, 64);
  EXPECT_NEAR(drawn[3], 240, 56);
  EXPECT_NEAR(drawn[4], 120, 42);
}

TEST_F(CandidatesTest, ProbeStandsAnywhereInTheList) {
  double mean = 0;
  for (const CandidateSet& set : plan_candidates(split_, options())) {
    mean += static_cast<double>(std::find(set.candidates.begin(), set.candidates.end(), set.probe) -
                                set.candidates.begin());
  }
  // Uniform over 0 ... 39: standard error 0.67.
  EXPECT_NEAR(mean / 300, 19.5, 2.7);
}

TEST_F(CandidatesTest, DoesNotDependOnThreads) {
  const int threads = default_threads();
  set_default_threads(1);
  const auto one = plan_candidates(split_, options());
  set_default_threads(3);
  const auto three = plan_candidates(split_, options());
  set_default_threads(threads);
  for (std::size_t k = 0; k < one.size(); ++k) EXPECT_EQ(one[k].candidates, three[k].candidates);
}

TEST_F(CandidatesTest, DependsOnTheSeed) {
  CandidateOptions other = options();
  other.seed = 2;
  EXPECT_NE(plan_candidates(split_, options())[0].candidates, plan_candidates(split_, other)[0].candidates);
}

TEST_F(CandidatesTest, ASmallCatalogueGivesAllThereIs) {
  const Dataset data = make_dataset({{1, 2, 3, 4, 5}}, 7);
  const auto sets = plan_candidates(leave_one_out(data), {});
  EXPECT_THAT(sets[0].candidates, UnorderedElementsAre(3, 4, 5, 6, 7)) << "the probe 3 and all but 1 and 2";
}

TEST_F(CandidatesTest, AUserWithOneTrainingItemHasNoProbe) {
  const Dataset data = make_dataset({{1}, {2, 3}}, 100);
  const auto sets = plan_candidates(leave_one_out(data), {});
  EXPECT_EQ(sets[0].probe, 0);
  EXPECT_THAT(sets[0].history, ElementsAre(1));
  EXPECT_THAT(sets[0].candidates, SizeIs(40));
  EXPECT_EQ(sets[1].probe, 3);
  EXPECT_THAT(sets[1].history, ElementsAre(2));
}

TEST_F(CandidatesTest, ARepeatPurchaseDoesNotShowTheProbeInTheHistory) {
  const Dataset data = make_dataset({{5, 6, 5, 7, 8}}, 100);
  EXPECT_THAT(plan_candidates(leave_one_out(data), {})[0].history, ElementsAre(6));
}

TEST_F(CandidatesTest, NoUsersNoSets) {
  const Dataset data = make_dataset({}, 3);
  EXPECT_THAT(plan_candidates(leave_one_out(data), {}), IsEmpty());
}

TEST_F(CandidatesTest, RefusesOptionsOutOfRange) {
  const auto error = [&](auto member, auto value) {
    CandidateOptions options;
    options.*member = value;
    return error_of([&] { plan_candidates(split_, options); });
  };
  EXPECT_THAT(error(&CandidateOptions::per_user, 1), HasSubstr("ask for 2 or more"));
  EXPECT_THAT(error(&CandidateOptions::prompt_history, 0), HasSubstr("ask for 1 or more"));
  EXPECT_THAT(error(&CandidateOptions::popularity_pool, 0), HasSubstr("ask for 1 or more"));
  EXPECT_THAT(error(&CandidateOptions::tail_bottom, 0.0), HasSubstr("not in (0, 1]"));
  EXPECT_THAT(error(&CandidateOptions::tail_bottom, 1.5), HasSubstr("not in (0, 1]"));
}

}  // namespace
}  // namespace sllmr
