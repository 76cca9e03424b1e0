#include "host/ask/scorer.h"

#include <gmock/gmock.h>

#include <cmath>

#include "kernels/exec/parallel.h"
#include "tests/host/ask/toy_data.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using test::make_dataset;
using testing::HasSubstr;

class LexicalScorerTest : public testing::Test {
 protected:
  LexicalScorerTest() {
    data_.titles = {"", "red lipstick",         "Red LIPSTICK, matte!", "blue soap", "red soap",
                    "", "\xC3\xA9 cr\xC3\xA8me"};
    // Items 1 and 3 share an attribute; item 5 has neither title nor attribute.
    const Id brand = data_.attributes.add("brand");
    data_.attribute_offsets = {0, 0, 1, 1, 2, 2, 2, 2};
    data_.item_attributes = {brand, brand};
  }

  std::vector<float> score(const std::vector<Id>& history, const std::vector<Id>& candidates) const {
    const std::vector<CandidateSet> sets = {{1, history, candidates, candidates.front()}};
    std::vector<float> scores;
    for (const LlmScore& entry : find_scorer("lexical").score(split_, sets)) scores.push_back(entry.score);
    return scores;
  }

  Dataset data_ = make_dataset({{1, 2, 3, 4, 5}}, 6);
  Split split_ = leave_one_out(data_);
};

TEST_F(LexicalScorerTest, IsTheTfIdfCosineDividedByTheUsersLargest) {
  // df among the five texts: red 3, lipstick 2, matte 1, blue 1, soap 2, brand 2.
  const auto idf = [](double df) { return std::log(6.0 / (1.0 + df)) + 1.0; };
  const double red = idf(3), lipstick = idf(2), matte = idf(1), blue = idf(1), soap = idf(2), brand = idf(2);
  // History: items 1 and 4 joined.
  const double query_red = 2 * red;
  const double item2 = (query_red * red + lipstick * lipstick) / std::hypot(red, lipstick, matte);
  const double item3 = (soap * soap + brand * brand) / std::hypot(blue, soap, brand);
  const auto scores = score({1, 4}, {2, 3, 6});
  EXPECT_EQ(scores[0], 1.0F);
  EXPECT_NEAR(scores[1], item3 / item2, 1e-6);
  EXPECT_EQ(scores[2], 0.0F) << "a text without a common term";
}

TEST_F(LexicalScorerTest, CandidatesAndProbeKeepTheirPlaces) {
  const std::vector<CandidateSet> sets = {{1, {1}, {3, 2, 4}, 4}, {1, {4}, {6}, 0}};
  const auto scores = find_scorer("lexical").score(split_, sets);
  ASSERT_EQ(scores.size(), 4U);
  const Id items[] = {3, 2, 4, 6};
  for (int k = 0; k < 4; ++k) {
    EXPECT_EQ(scores[k].user, 1);
    EXPECT_EQ(scores[k].item, items[k]);
    EXPECT_EQ(scores[k].probe, k == 2);
  }
}

TEST_F(LexicalScorerTest, WithoutEvidenceTheScoreIsOneHalf) {
  EXPECT_EQ(score({1}, {2, 5})[1], 0.5F) << "item without text";
  EXPECT_EQ(score({}, {2, 3}), (std::vector{0.5F, 0.5F})) << "user without history";
  EXPECT_EQ(score({5}, {2, 3}), (std::vector{0.5F, 0.5F})) << "history without text";
  EXPECT_EQ(score({6}, {2, 3}), (std::vector{0.5F, 0.5F})) << "no common term with any candidate";
}

TEST_F(LexicalScorerTest, PairsWithoutAJudgementAreCounted) {
  const std::vector<CandidateSet> sets = {{1, {1}, {2, 5}, 0}, {1, {5}, {2, 3}, 0}, {1, {6}, {2, 3}, 0}};
  EXPECT_EQ(find_scorer("lexical").run({split_, sets, {}}).summary.defaulted, 1 + 2 + 2);
}

TEST_F(LexicalScorerTest, BytesBeyondAsciiBelongToWords) {
  data_.titles[3] = "cr\xC3\xA8me";
  data_.titles[4] = "cr";
  EXPECT_EQ(score({6}, {3, 4}), (std::vector{1.0F, 0.0F}));
}

TEST_F(LexicalScorerTest, DoesNotDependOnThreadsOrOnOtherUsers) {
  std::vector<CandidateSet> sets;
  for (int k = 0; k < 300; ++k) sets.push_back({1, {1 + k % 6, 1 + k % 4}, {1 + k % 5, 6, 2}, 0});
  const auto run = [&](int threads) {
    const int before = default_threads();
    set_default_threads(threads);
    std::vector<float> scores;
    for (const LlmScore& entry : find_scorer("lexical").score(split_, sets)) scores.push_back(entry.score);
    set_default_threads(before);
    return scores;
  };
  const auto scores = run(1);
  EXPECT_EQ(scores, run(3));
  for (std::size_t k = 0; k < sets.size(); ++k) {
    const auto alone = score(sets[k].history, sets[k].candidates);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), scores.begin() + 3 * k)) << k;
  }
}

// Every registered scorer that works by itself keeps the contract, the ones to come among them;
// llm_cli_test.cpp has servers for the others.
class AnyScorerTest : public testing::TestWithParam<ScorerInfo> {};

TEST_P(AnyScorerTest, ScoresEveryCandidateOnceInTheUnitInterval) {
  std::vector<std::vector<Id>> histories;
  for (Id u = 0; u < 30; ++u) histories.push_back({1 + u, 2 + u, 3 + u, 4 + u, 5 + u});
  Dataset data = make_dataset(histories, 100);
  for (Id item = 1; item <= 100; ++item)
    data.titles[item] = item % 3 ? "thing " + std::to_string(item / 4) : "";
  const Split split = leave_one_out(data);
  const auto sets = plan_candidates(split, {});
  if (GetParam().needs_options) {
    EXPECT_THAT(error_of([&] { GetParam().score(split, sets); }), HasSubstr("llm.scorer=file"));
    return;
  }
  const ScoreTable table = make_score_table(data, GetParam().score(split, sets), GetParam().name);
  for (const CandidateSet& set : sets) {
    EXPECT_THAT(table.items_of(set.user), testing::UnorderedElementsAreArray(set.candidates));
    EXPECT_EQ(table.items_of(set.user)[table.probe[set.user]], set.probe);
  }
  EXPECT_NO_THROW(check_probes(table, split));
}

INSTANTIATE_TEST_SUITE_P(Registry, AnyScorerTest, testing::ValuesIn(scorers()),
                         [](const auto& test) { return test.param.name; });

TEST(ServerName, IsTheAddressOrWhatTheUserSays) {
  ScorerOptions options;
  EXPECT_EQ(server_name(options), "");
  for (const char* url : {"http://localhost:80/v1", "http://LocalHost/v1/", "http://localhost/v1"}) {
    options.url = url;
    EXPECT_EQ(server_name(options), "http://localhost/v1") << url;
  }
  options.url = "https://Example.org:443/V1";
  EXPECT_EQ(server_name(options), "https://example.org/V1");
  options.url = "https://example.org:80/v1";
  EXPECT_EQ(server_name(options), options.url);
  options.server = "mine";
  EXPECT_EQ(server_name(options), "mine");
}

TEST(ScorerRegistry, FindsByNameAndSuggestsTheNearest) {
  EXPECT_STREQ(find_scorer("lexical").name, "lexical");
  EXPECT_THAT(find_scorer("lexical").summary, HasSubstr("without an LLM"));
  EXPECT_THAT(error_of([] { find_scorer("lexicl"); }), HasSubstr("did you mean 'lexical'"));
}

}  // namespace
}  // namespace sllmr
