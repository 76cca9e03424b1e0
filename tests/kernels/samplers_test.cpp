// Shuffling, negatives and LLM pairs: what is drawn, how often, and that the layout of the work changes
// nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "kernels/exec/permutation.h"
#include "kernels/interaction_index.h"
#include "kernels/pair_sampler.h"
#include "kernels/triple_sampler.h"
#include "tests/support/compare.h"
#include "tests/support/scores.h"

namespace sllmr {
namespace {

std::vector<Triple> sampled(const Context& context, const Interactions& interactions, std::uint64_t seed,
                            std::uint32_t epoch, std::int64_t block_rows = 0) {
  std::vector<Triple> out(interactions.items.size());
  run(context, SampleTriples{.interactions = interactions.view(),
                             .seed = seed,
                             .epoch = epoch,
                             .first_row = 0,
                             .count = static_cast<std::int64_t>(out.size()),
                             .block_rows = block_rows,
                             .out = out.data()});
  return out;
}

template <class Record>
bool same_records(const std::vector<Record>& a, const std::vector<Record>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Record)) == 0;
}

/// Row by row, as SampleTriples is defined.
std::vector<Triple> naively_sampled(const Interactions& interactions, std::int32_t n_items,
                                    std::uint64_t seed, std::uint32_t epoch, std::uint64_t block_rows = 0) {
  const BlockPermutation order(seed, epoch, interactions.items.size(), block_rows);
  std::vector<Triple> out;
  for (std::uint64_t row = 0; row < interactions.items.size(); ++row) {
    const std::uint64_t index = order(row);
    Triple triple{interactions.users[index], interactions.items[index], 0};
    for (std::uint32_t block = 0; triple.negative == 0; ++block) {
      // Four uniform items of a draw, or two of an alias table, of which nobody waits for ever.
      const AliasCell* cells = block < 64 ? interactions.view().negatives.cells : nullptr;
      const Draw draw = philox(seed, epoch, row, Purpose::negative, block);
      for (int k = 0; k < 4 && triple.negative == 0; k += cells == nullptr ? 1 : 2) {
        Id item = 1 + static_cast<Id>(below(draw.word[k], static_cast<std::uint32_t>(n_items)));
        if (cells != nullptr && draw.word[k + 1] >= cells[item - 1].keep) item = cells[item - 1].other;
        if (!interactions.has(triple.user, item)) triple.negative = item;
      }
    }
    out.push_back(triple);
  }
  return out;
}

TEST(SampleTriples, EqualsTheNaiveOne) {
  const Context context(Device::cpu, 1);
  for (const Id n_items : {14, 60, 5000}) {  // from users who have nearly all items to the usual ones
    for (const Id users : {1, 11, 400}) {
      for (const double power : {0.0, 0.75}) {
        const Interactions interactions = make_interactions(context, users, 1, 12, n_items, 5, power);
        EXPECT_TRUE(
            same_records(sampled(context, interactions, 3, 4), naively_sampled(interactions, n_items, 3, 4)))
            << n_items << " items, " << users << " users, power " << power;
      }
    }
  }
}

TEST(SampleTriples, BlocksEqualTheNaiveOnes) {
  const Context context(Device::cpu, 1);
  const Interactions interactions = make_interactions(context, 400, 1, 12, 60, 5, 0);
  for (const std::int64_t block_rows : {1, 100, 512, 1000000}) {
    EXPECT_TRUE(same_records(sampled(context, interactions, 3, 4, block_rows),
                             naively_sampled(interactions, 60, 3, 4, static_cast<std::uint64_t>(block_rows))))
        << block_rows;
  }
}

TEST(InteractionIndex, TheFilterDeniesNoInteractionAndMostOthers) {
  const Context context(Device::cpu, 1);
  const Interactions interactions = make_interactions(context, 300, 1, 40, 500, 6);
  const InteractionView& view = interactions.view();
  int maybe = 0, others = 0;
  for (Id user = 1; user <= 300; ++user) {
    for (Id item = 1; item <= 500; ++item) {
      const bool set = view.filter.is_set(view.filter.bit_of(user, item));
      const bool there = interactions.has(user, item);
      ASSERT_EQ(view.has(user, item), there);
      ASSERT_TRUE(set || !there) << user << " " << item;
      maybe += set && !there;
      others += !there;
    }
  }
  EXPECT_LT(maybe, others / 10);
}

TEST(InteractionIndex, TheFilterServesUsersWithLongHistoriesToo) {
  const Context context(Device::cpu, 1);
  for (const Id length : {500, 20000}) {
    const Interactions interactions = make_interactions(context, 12, length, length, 4 * length, 6);
    const InteractionView& view = interactions.view();
    int maybe = 0, others = 0;
    for (Id item = 1; item <= 4 * length; ++item) {
      const bool there = interactions.has(6, item);
      maybe += view.filter.is_set(view.filter.bit_of(6, item)) && !there;
      others += !there;
    }
    EXPECT_LT(maybe, others / 5) << length;
  }
}

TEST(InteractionIndex, TellsWhoHasEveryItem) {
  const Context context(Device::cpu, 1);
  EXPECT_EQ(Interactions(context, {{1, 2}, {1, 3, 2}, {3}}, 3).index.user_of_all_items(), 2);
  EXPECT_EQ(Interactions(context, {{1, 2}, {1, 3, 3}, {3}}, 3).index.user_of_all_items(), 0);
}

TEST(SampleTriples, AnEpochCoversEachInteractionOnce) {
  const Context context(Device::cpu, 1);
  const Interactions interactions = make_interactions(context, 40, 1, 12, 30, 1);
  std::multiset<std::pair<Id, Id>> expected, found;
  for (std::size_t k = 0; k < interactions.items.size(); ++k) {
    expected.emplace(interactions.users[k], interactions.items[k]);
  }
  for (const Triple& triple : sampled(context, interactions, 3, 7))
    found.emplace(triple.user, triple.positive);
  EXPECT_EQ(found, expected);
}

TEST(SampleTriples, NegativesAreRealItemsOutsideTheUsersTraining) {
  const Context context(Device::cpu, 1);
  const Interactions interactions = make_interactions(context, 40, 1, 12, 14, 2);
  for (std::uint32_t epoch = 0; epoch < 20; ++epoch) {
    for (const Triple& triple : sampled(context, interactions, 3, epoch)) {
      ASSERT_GE(triple.negative, 1);
      ASSERT_LE(triple.negative, 14);
      ASSERT_FALSE(interactions.has(triple.user, triple.negative));
    }
  }
}

TEST(SampleTriples, FindsTheOnlyItemThatIsLeft) {
  const Context context(Device::cpu, 1);
  const Interactions interactions(context, {{1, 2, 3, 5, 6}}, 6);
  for (const Triple& triple : sampled(context, interactions, 1, 0)) EXPECT_EQ(triple.negative, 4);
}

TEST(SampleTriples, WhatIsLeftIsFoundAmongItemsThatAreNeverDrawn) {
  const Context context(Device::cpu, 1);
  // The user has all items but 1, which others leave alone: a draw of a million.
  std::vector<std::vector<Id>> histories(1);
  for (Id item = 2; item <= 50; ++item) histories[0].push_back(item);
  for (int other = 0; other < 20000; ++other) histories.push_back({2, 3, 4});
  const Interactions interactions(context, histories, 50, 1.0);
  const std::vector<Triple> triples = sampled(context, interactions, 1, 0);
  EXPECT_TRUE(same_records(triples, naively_sampled(interactions, 50, 1, 0)));
  for (const Triple& triple : triples) {
    if (triple.user == 1) {
      ASSERT_EQ(triple.negative, 1);
    }
  }
}

TEST(SampleTriples, NegativesAreUniform) {
  const Context context(Device::cpu, 1);
  const Interactions interactions(context, {{2, 9, 4, 7}}, 12);
  std::map<Id, int> counts;
  constexpr int kEpochs = 2000;
  for (std::uint32_t epoch = 0; epoch < kEpochs; ++epoch) {
    for (const Triple& triple : sampled(context, interactions, 5, epoch)) ++counts[triple.negative];
  }
  ASSERT_EQ(counts.size(), 8U);
  constexpr double kExpected = 4 * kEpochs / 8.0;
  double chi_square = 0;
  for (const auto& [item, count] : counts) chi_square += std::pow(count - kExpected, 2) / kExpected;
  EXPECT_LT(chi_square, 24.3);  // 7 degrees of freedom: one in a thousand
}

TEST(SampleTriples, NegativesFollowPopularity) {
  const Context context(Device::cpu, 1);
  // Items 1 to 5 are taken 4, 3, 1, 0 and 0 times; the user of whom rows are counted has none but 6.
  const Interactions interactions(context, {{6}, {1, 1, 1, 1, 2, 2, 2, 3}}, 6, 0.5);
  std::map<Id, int> counts;
  int n = 0;
  for (std::uint32_t epoch = 0; epoch < 8000; ++epoch) {
    for (const Triple& triple : sampled(context, interactions, 5, epoch)) {
      if (triple.user == 1) ++counts[triple.negative], ++n;
    }
  }
  const double weights[] = {2, std::sqrt(3.0), 1, 1, 1};
  double chi_square = 0;
  for (Id item = 1; item <= 5; ++item) {
    const double expected = n * weights[item - 1] / (5 + std::sqrt(3.0));
    chi_square += std::pow(counts[item] - expected, 2) / expected;
  }
  ASSERT_EQ(n, 8000);
  EXPECT_LT(chi_square, 18.5);  // 4 degrees of freedom: one in a thousand
}

TEST(AliasTable, GivesEachItemItsShare) {
  EXPECT_TRUE(alias_table(std::vector<std::int64_t>{3, 1}, 0).empty());
  for (const std::vector<std::int64_t>& taken :
       {std::vector<std::int64_t>{5}, {0, 0, 0}, {1, 7, 0, 7, 1000, 2}, {2, 2, 2, 2}}) {
    for (const double power : {0.3, 0.75, 1.0}) {
      const std::vector<AliasCell> cells = alias_table(taken, power);
      ASSERT_EQ(cells.size(), taken.size());
      std::vector<double> share(taken.size());
      double sum = 0;
      for (std::size_t k = 0; k < cells.size(); ++k) {
        const double kept = cells[k].keep / 0x1p32;
        ASSERT_TRUE(cells[k].other >= 1 && cells[k].other <= std::ssize(taken));
        share[k] += kept;
        share[static_cast<std::size_t>(cells[k].other) - 1] += 1 - kept;
        sum += std::pow(static_cast<double>(std::max<std::int64_t>(taken[k], 1)), power);
      }
      for (std::size_t k = 0; k < cells.size(); ++k) {
        const double weight = std::pow(static_cast<double>(std::max<std::int64_t>(taken[k], 1)), power);
        EXPECT_NEAR(share[k], static_cast<double>(taken.size()) * weight / sum, 1e-8) << k;
      }
    }
  }
}

TEST(SampleTriples, ChunksAndThreadsChangeNothing) {
  const Context one(Device::cpu, 1), two(Device::cpu, 2);
  const Interactions interactions = make_interactions(one, 40, 1, 12, 30, 3);
  const std::vector<Triple> whole = sampled(one, interactions, 3, 1);
  EXPECT_TRUE(same_records(sampled(two, interactions, 3, 1), whole));
  std::vector<Triple> chunked(whole.size());
  const auto n = static_cast<std::int64_t>(whole.size());
  for (std::int64_t row = 0; row < n; row += 7) {
    run(one, SampleTriples{.interactions = interactions.view(),
                           .seed = 3,
                           .epoch = 1,
                           .first_row = row,
                           .count = std::min<std::int64_t>(7, n - row),
                           .out = chunked.data() + row});
  }
  EXPECT_TRUE(same_records(chunked, whole));
}

TEST(SampleTriples, EpochsAndSeedsDiffer) {
  const Context context(Device::cpu, 1);
  const Interactions interactions = make_interactions(context, 40, 1, 12, 30, 4);
  const std::vector<Triple> base = sampled(context, interactions, 3, 1);
  EXPECT_FALSE(same_records(sampled(context, interactions, 3, 2), base));
  EXPECT_FALSE(same_records(sampled(context, interactions, 4, 1), base));
}

TEST(Share, SelectsTheFloorOrTheCeilingOfAnyStretch) {
  for (const double rate : {0.0, 0.1, 0.25, 1.0 / 3, 0.5, 0.77, 0.999, 1.0}) {
    const Share share = Share::of(rate);
    const double exact = static_cast<double>(share.fixed) * 0x1p-32;
    EXPECT_TRUE(near(exact, rate, {0x1p-32, 0}));
    for (std::uint64_t first = 0; first < 60; ++first) {
      int selected = 0;
      for (std::uint64_t n = 1; n < 60; ++n) {
        selected += share.selects(first + n - 1);
        const double wanted = exact * static_cast<double>(n);
        EXPECT_GE(selected, std::floor(wanted)) << rate << " of " << n << " rows from " << first;
        EXPECT_LE(selected, std::ceil(wanted)) << rate << " of " << n << " rows from " << first;
      }
    }
  }
}

TEST(Share, RowOfInvertsCountBefore) {
  for (const double rate : {1e-6, 0.1, 0.25, 1.0 / 3, 0.5, 0.77, 0.999, 1.0}) {
    const Share share = Share::of(rate);
    for (const std::uint64_t start : {0ULL, 1ULL, 1000ULL, 300'000'000ULL}) {
      const std::uint64_t first = share.count_before(start);
      SelectedRows rows(share, first);
      for (std::uint64_t ordinal = first; ordinal < first + 50; ++ordinal, rows.next()) {
        const std::uint64_t row = share.row_of(ordinal);
        ASSERT_EQ(rows.row(), row);
        ASSERT_EQ(share.row_of(ordinal, share.gap()), row);
        ASSERT_GE(row, start);
        ASSERT_TRUE(share.selects(row)) << rate << " ordinal " << ordinal;
        ASSERT_EQ(share.count_before(row), ordinal);
      }
    }
  }
}

/// Rows over random users, and their pairs.
struct PairDraw {
  std::vector<Triple> triples;
  std::vector<std::uint64_t> rows;  // the selected ones
  std::vector<RowPairs> pairs;
};

PairDraw draw_pairs(const Context& context, const Scores& scores, const PairPolicy& policy, std::int64_t n,
                    std::uint32_t epoch = 0) {
  PairDraw draw;
  TestNumbers numbers(8);
  for (std::int64_t row = 0; row < n; ++row) {
    draw.triples.push_back({numbers.id(1, static_cast<Id>(scores.users.size())), 1, 2});
    const auto at = static_cast<std::uint64_t>(row);
    if (policy.pair_rate.selects(at)) draw.rows.push_back(at);
  }
  draw.pairs.resize(draw.rows.size());
  run(context, SamplePairs{.scores = scores.view(),
                           .policy = policy,
                           .seed = 3,
                           .epoch = epoch,
                           .first_row = 0,
                           .count = n,
                           .triples = draw.triples.data(),
                           .out = draw.pairs.data()});
  return draw;
}

class PairSampling : public testing::TestWithParam<PairChoice> {
 protected:
  const Context context_{Device::cpu, 1};
  const Scores scores_ = make_scores(context_, 30, 40, 1);
  const PairPolicy policy_{GetParam(), Share::of(0.6), Share::of(0.5)};
};

INSTANTIATE_TEST_SUITE_P(Choices, PairSampling, testing::Values(PairChoice::sampled, PairChoice::largest),
                         [](const auto& choice) {
                           return choice.param == PairChoice::sampled ? "sampled" : "largest";
                         });

TEST_P(PairSampling, GuidingPairsAreOrderedByTheirScores) {
  const PairDraw draw = draw_pairs(context_, scores_, policy_, 2000);
  int found = 0;
  for (std::size_t k = 0; k < draw.pairs.size(); ++k) {
    const LlmPair& guide = draw.pairs[k].guide;
    if (guide.a == 0) continue;
    ++found;
    const Id user = draw.triples[draw.rows[k]].user;
    const float a = scores_.score(user, guide.a), b = scores_.score(user, guide.b);
    ASSERT_GT(a, b);
    ASSERT_EQ(guide.score_a, a);
    ASSERT_EQ(guide.score_b, b);
    ASSERT_EQ(guide.gap(), a - b);
    ASSERT_EQ(guide.agreement(), 1.0F);
  }
  EXPECT_GT(found, 500);
}

TEST_P(PairSampling, OnlyUsersWithoutTwoDifferentScoresGoWithout) {
  const PairDraw draw = draw_pairs(context_, scores_, policy_, 2000);
  int hopeless = 0, unlucky = 0, all = 0;
  for (std::size_t k = 0; k < draw.pairs.size(); ++k) {
    const UserScores& user = scores_.users[static_cast<std::size_t>(draw.triples[draw.rows[k]].user) - 1];
    const bool possible = !user.scores.empty() && user.scores.front() > user.scores.back();
    ++all;
    if (!possible) {
      ++hopeless;
      ASSERT_EQ(draw.pairs[k].guide.a, 0);
      ASSERT_EQ(draw.pairs[k].guide.b, 0);
    } else if (draw.pairs[k].guide.a == 0) {
      ++unlucky;
    }
  }
  EXPECT_GT(hopeless, 0);
  EXPECT_LT(unlucky, all / 20);
  if (GetParam() == PairChoice::largest) {
    EXPECT_EQ(unlucky, 0);
  }
}

TEST_P(PairSampling, ProbePairsCompareTheProbeWithAnotherEntry) {
  const PairDraw draw = draw_pairs(context_, scores_, policy_, 2000);
  std::set<float> agreements;
  for (std::size_t k = 0; k < draw.pairs.size(); ++k) {
    const LlmPair& probe = draw.pairs[k].probe;
    const Id user = draw.triples[draw.rows[k]].user;
    const UserScores& of = scores_.users[static_cast<std::size_t>(user) - 1];
    const bool expected = policy_.probe_rate.selects(k) && of.probe >= 0 && of.items.size() >= 2;
    ASSERT_EQ(probe.a != 0, expected);
    if (!expected) continue;
    ASSERT_EQ(probe.a, of.items[static_cast<std::size_t>(of.probe)]);
    ASSERT_NE(probe.b, probe.a);
    const float p = scores_.score(user, probe.a), other = scores_.score(user, probe.b);
    ASSERT_EQ(probe.agreement(), p > other ? 1.0F : p < other ? -1.0F : 0.0F);
    ASSERT_EQ(probe.gap(), std::fabs(p - other));
    agreements.insert(probe.agreement());
  }
  EXPECT_EQ(agreements.size(), 3U);
}

TEST_P(PairSampling, ChunksAndThreadsChangeNothing) {
  const PairDraw draw = draw_pairs(context_, scores_, policy_, 500);
  EXPECT_TRUE(same_records(draw_pairs(Context(Device::cpu, 2), scores_, policy_, 500).pairs, draw.pairs));
  EXPECT_FALSE(same_records(draw_pairs(context_, scores_, policy_, 500, 1).pairs, draw.pairs));
  std::vector<RowPairs> chunked(draw.pairs.size());
  for (std::int64_t row = 0; row < 500; row += 125) {
    run(context_,
        SamplePairs{.scores = scores_.view(),
                    .policy = policy_,
                    .seed = 3,
                    .epoch = 0,
                    .first_row = row,
                    .count = 125,
                    .triples = draw.triples.data() + row,
                    .out = chunked.data() + policy_.pair_rate.count_before(static_cast<std::uint64_t>(row))});
  }
  EXPECT_TRUE(same_records(chunked, draw.pairs));
}

TEST_P(PairSampling, ARateOfZeroReadsNothing) {
  run(context_, SamplePairs{.scores = ScoreView{},
                            .policy = {GetParam(), Share::of(0), Share::of(1)},
                            .seed = 3,
                            .epoch = 0,
                            .first_row = 0,
                            .count = 100,
                            .triples = nullptr,
                            .out = nullptr});
}

TEST(SamplePairsChoice, SampledIsUniformOverPairsOfDifferentScores) {
  const Context context(Device::cpu, 1);
  const Scores scores(context, {{{11, 12, 13, 14}, {0.9F, 0.5F, 0.5F, 0.1F}, -1, {}}});
  const PairDraw draw = draw_pairs(context, scores, {PairChoice::sampled, Share::of(1), {}}, 20'000);
  std::map<std::pair<Id, Id>, int> counts;
  for (const RowPairs& pairs : draw.pairs) ++counts[{pairs.guide.a, pairs.guide.b}];
  counts.erase({0, 0});
  ASSERT_EQ(counts.size(), 5U);  // of 6 pairs, one is tied
  int total = 0;
  for (const auto& [pair, count] : counts) total += count;
  EXPECT_GT(total, 19'990);  // eight tries, one in six fails
  double chi_square = 0;
  for (const auto& [pair, count] : counts) chi_square += std::pow(count - total / 5.0, 2) / (total / 5.0);
  EXPECT_LT(chi_square, 18.5);  // 4 degrees of freedom: one in a thousand
}

TEST(SamplePairsChoice, LargestTakesTheListedPairsEvenly) {
  const Context context(Device::cpu, 1);
  const Scores scores(context, {{{11, 12, 13, 14}, {0.9F, 0.5F, 0.5F, 0.1F}, -1, {{0, 3}, {0, 1}}},
                                {{21, 22}, {0.5F, 0.5F}, -1, {}}});
  const PairDraw draw = draw_pairs(context, scores, {PairChoice::largest, Share::of(1), {}}, 4000);
  std::map<std::pair<Id, Id>, int> counts;
  for (std::size_t k = 0; k < draw.pairs.size(); ++k) {
    const LlmPair& guide = draw.pairs[k].guide;
    if (draw.triples[k].user == 2) {
      ASSERT_EQ(guide.a, 0);
    } else {
      ++counts[{guide.a, guide.b}];
    }
  }
  ASSERT_EQ(counts.size(), 2U);
  const double half = (counts[{11, 14}] + counts[{11, 12}]) / 2.0;
  EXPECT_TRUE(near(counts[{11, 14}], half, {4 * std::sqrt(half / 2), 0}));
}

TEST(SamplePairsChoice, AProbesPartnerIsUniform) {
  const Context context(Device::cpu, 1);
  const Scores scores(context, {{{11, 12, 13, 14, 15}, {0.9F, 0.7F, 0.5F, 0.3F, 0.1F}, 2, {}}});
  const PairDraw draw = draw_pairs(context, scores, {PairChoice::sampled, Share::of(1), Share::of(1)}, 8000);
  std::map<Id, int> counts;
  for (const RowPairs& pairs : draw.pairs) ++counts[pairs.probe.b];
  ASSERT_EQ(counts.size(), 4U);
  double chi_square = 0;
  for (const auto& [item, count] : counts) chi_square += std::pow(count - 2000.0, 2) / 2000;
  EXPECT_LT(chi_square, 16.3);  // 3 degrees of freedom: one in a thousand
}

TEST(SamplePairsChoice, AProbeIsComparedWithItsMatchesAlone) {
  const Context context(Device::cpu, 1);
  const std::vector<float> scores_of = {0.9F, 0.7F, 0.5F, 0.3F, 0.1F};
  const Scores scores(context,
                      {{{11, 12, 13, 14, 15}, scores_of, 2, {}}, {{21, 22, 23, 24, 25}, scores_of, 0, {}}});
  // Two lists each of padding and two users: three entries that are no more popular, one that is no less; the
  // other user lacks the latter.
  const std::vector<std::int64_t> offsets = {0, 0, 0, 3, 4, 5, 5};
  const std::vector<std::uint16_t> matches = {0, 1, 4, 3, 2};
  ScoreView view = scores.view();
  view.match_offsets = offsets.data();
  view.matches = matches.data();
  std::vector<Triple> triples;
  for (int k = 0; k < 4000; ++k) triples.push_back({1 + k % 2, 1, 2});
  std::vector<RowPairs> pairs(triples.size());
  run(context, SamplePairs{.scores = view,
                           .policy = {PairChoice::sampled, Share::of(1), Share::of(1)},
                           .seed = 3,
                           .epoch = 0,
                           .first_row = 0,
                           .count = 4000,
                           .triples = triples.data(),
                           .out = pairs.data()});
  std::map<Id, int> counts;
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    ASSERT_EQ(pairs[k].probe.a, triples[k].user == 1 ? 13 : 0) << "who lacks a list draws no probe";
    if (pairs[k].probe.a != 0) ++counts[pairs[k].probe.b];
  }
  EXPECT_EQ(counts.size(), 4U);
  for (const Id item : {11, 12, 15}) EXPECT_NEAR(counts[item], 1000 / 3.0, 75) << item;
  EXPECT_NEAR(counts[14], 1000, 100) << "either list as often";
}

TEST(LargestPairs, KeepsTheLargestGapsAndEveryProbe) {
  const Context context(Device::cpu, 1);
  const auto guide = [](Id a, float gap) { return RowPairs{{a, 90, gap, 0}, {70, 71, 0.5F, 0}}; };
  const std::vector<RowPairs> all{guide(1, 0.2F), guide(2, 0.9F), guide(0, 0),    guide(3, 0.5F),
                                  guide(4, 0.5F), guide(5, 0.5F), guide(6, 1.0F), guide(7, 1e-6F)};
  const std::vector<std::vector<Id>> kept{
      {}, {6}, {2, 6}, {2, 3, 6}, {2, 3, 4, 6}, {2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6, 7}};
  LargestPairs largest(context, 10);
  for (std::size_t keep = 0; keep < kept.size(); ++keep) {
    std::vector<RowPairs> pairs = all;
    largest.keep(context, pairs.data(), static_cast<std::int64_t>(pairs.size()),
                 static_cast<std::int64_t>(keep));
    std::vector<Id> left;
    for (const RowPairs& row : pairs) {
      if (row.guide.a != 0) left.push_back(row.guide.a);
      EXPECT_EQ(row.probe.a, 70);
    }
    EXPECT_EQ(left, kept[keep]) << "keep " << keep;
  }
  std::vector<RowPairs> pairs = all;
  largest.keep(context, pairs.data(), 8, 100);
  EXPECT_TRUE(same_records(pairs, all));
}

}  // namespace
}  // namespace sllmr
