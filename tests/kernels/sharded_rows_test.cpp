#include "kernels/sharded_rows.h"

#include <gmock/gmock.h>

#include <set>
#include <vector>

#include "tests/support/thread_ranks.h"

namespace sllmr {
namespace {

using testing::ElementsAre;

TEST(RowShard, EveryRealRowBelongsToOneRank) {
  for (int ranks = 1; ranks <= 9; ++ranks) {
    for (Id rows = ranks + 1; rows <= 40; ++rows) {
      std::set<Id> seen;
      for (int rank = 0; rank < ranks; ++rank) {
        const RowShard shard{rank, ranks};
        ASSERT_EQ(shard.id_at(0), 0);
        for (Id place = 1; place < shard.rows_of(rows); ++place) {
          const Id id = shard.id_at(place);
          ASSERT_TRUE(id >= 1 && id < rows && seen.insert(id).second);
          ASSERT_EQ(shard.owner(id), rank);
          ASSERT_TRUE(shard.owns(id));
          ASSERT_EQ(shard.place(id), place);
          if (ranks == 1) {
            ASSERT_EQ(id, place);
          }
        }
      }
      ASSERT_EQ(std::ssize(seen), rows - 1);
    }
  }
}

/// Row `id` of the table is {id, -id}.
std::vector<float> own_rows(const RowShard& shard, Id rows) {
  std::vector<float> table;
  for (Id place = 0; place < shard.rows_of(rows); ++place) {
    const auto id = static_cast<float>(shard.id_at(place));
    table.insert(table.end(), {id, -id});
  }
  return table;
}

void expect_rows_arrive(Device device, int ranks) {
  constexpr Id kRows = 50;
  std::vector<std::vector<float>> fetched(static_cast<std::size_t>(ranks));
  std::vector<std::vector<Id>> numbers(fetched.size());
  const auto wanted = [](int rank) {
    // Repeated ids, none at all, and 0.
    return rank == 1 ? std::vector<Id>{} : std::vector<Id>{7, 0, 49, 7, static_cast<Id>(rank + 1), 12, 49};
  };
  ThreadRanks::run(ranks, [&](Communicator& own) {
    const Context context(device, 1, &own);
    const RowShard shard{own.rank(), ranks};
    const Buffer<float> table(context, std::span<const float>(own_rows(shard, kRows)));
    std::vector<float> halves;
    for (Id place = 0; place < shard.rows_of(kRows); ++place)
      halves.push_back(0.5F * static_cast<float>(shard.id_at(place)));
    const Buffer<float> second(context, std::span<const float>(halves));
    RowRequest request;
    std::vector<Id> ids = wanted(own.rank());
    std::vector<Id*> places;
    for (Id& id : ids) places.push_back(&id);
    request.plan(shard, places);
    const auto rank = static_cast<std::size_t>(own.rank());
    request.ask(context);
    fetched[rank] = request.fetch(context, {table.data(), shard.rows_of(kRows), 2}).to_host(context);
    const std::vector<float> of_second =
        request.fetch(context, {second.data(), shard.rows_of(kRows), 1}).to_host(context);
    for (std::size_t k = 0; k < of_second.size(); ++k)
      EXPECT_EQ(of_second[k], 0.5F * fetched[rank][2 * k]) << "the same rows of another table";
    numbers[rank] = ids;
    for (const Id number : ids) {
      if (number == 0) continue;
      EXPECT_EQ(RowShard({request.owner(number), ranks}).id_at(request.place(number)),
                static_cast<Id>(fetched[rank][static_cast<std::size_t>(2 * number)]));
    }
  });
  for (int rank = 0; rank < ranks; ++rank) {
    const auto r = static_cast<std::size_t>(rank);
    const std::vector<Id> ids = wanted(rank);
    const std::set<Id> distinct(ids.begin(), ids.end());
    EXPECT_EQ(fetched[r].size(), 2 * (distinct.contains(0) ? distinct.size() : 1)) << "each row once";
    for (std::size_t k = 0; k < ids.size(); ++k) {
      const auto at = static_cast<std::size_t>(2 * numbers[r][k]);
      EXPECT_EQ(fetched[r][at], static_cast<float>(ids[k]));
      EXPECT_EQ(fetched[r][at + 1], -static_cast<float>(ids[k]));
    }
  }
}

TEST(ShardedRows, ArriveAtWhoAskedForThem) {
  for (const int ranks : {1, 2, 3, 5}) expect_rows_arrive(Device::cpu, ranks);
}
TEST(ShardedRows, ArriveAtWhoAskedForThemOnCuda) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  for (const int ranks : {1, 3}) expect_rows_arrive(Device::cuda, ranks);
}

TEST(ShardedRows, WhatIsExchangedLiesByRank) {
  std::vector<FromRanks<int>> got(3);
  ThreadRanks::run(3, [&](Communicator& own) {
    // Rank r sends r + 1 numbers to rank 0, none to rank 1, one to rank 2.
    std::vector<int> values;
    for (int k = 0; k < own.rank() + 2; ++k) values.push_back(10 * own.rank() + k);
    const std::vector<std::int64_t> counts{own.rank() + 1, 0, 1};
    exchange(own, std::span<const int>(values), counts, got[static_cast<std::size_t>(own.rank())]);
  });
  EXPECT_THAT(got[0].counts, ElementsAre(1, 2, 3));
  EXPECT_THAT(got[0].values, ElementsAre(0, 10, 11, 20, 21, 22));
  EXPECT_TRUE(got[1].values.empty());
  EXPECT_THAT(got[2].values, ElementsAre(1, 12, 23));
}

}  // namespace
}  // namespace sllmr
