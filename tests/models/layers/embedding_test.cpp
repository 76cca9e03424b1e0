// Tables of which a rank keeps some rows; backbones_test.cpp has the rest of embeddings.
#include "models/layers/embedding/embedding.h"

#include <gmock/gmock.h>

#include <array>
#include <vector>

#include "tests/support/errors.h"

namespace sllmr {
namespace {

constexpr std::array<Id, kVocabularies> kRows{6, 12, 5, 8};
constexpr std::array kUserAndItem{Field::user, Field::item};

Embedding<float> embedding_of(const Context& context, const EmbeddingInitial& initial,
                              const RowShard& items) {
  return {context, "embedding", 3, kUserAndItem, kRows, initial, 7, {RowShard(), items}};
}

TEST(ShardedEmbedding, RowsStartAsThoseOfAWholeTable) {
  const Context context(Device::cpu, 1);
  for (const auto kind : {EmbeddingInitial::Kind::standard_normal, EmbeddingInitial::Kind::xavier}) {
    const auto whole = embedding_of(context, {kind}, {});
    const std::vector<float> rows = whole.table(Vocabulary::item)->weights.to_host(context);
    for (int rank = 0; rank < 3; ++rank) {
      const RowShard shard{rank, 3};
      const auto part = embedding_of(context, {kind}, shard);
      const auto& table = *part.table(Vocabulary::item);
      EXPECT_EQ(table.rows, 12);
      EXPECT_TRUE(part.table(Vocabulary::user)->shard.is_whole());
      const std::vector<float> own = table.weights.to_host(context);
      ASSERT_EQ(own.size(), 3 * static_cast<std::size_t>(table.own_rows()));
      for (Id place = 0; place < table.own_rows(); ++place) {
        for (std::size_t d = 0; d < 3; ++d)
          EXPECT_EQ(own[static_cast<std::size_t>(place) * 3 + d],
                    rows[static_cast<std::size_t>(shard.id_at(place)) * 3 + d]);
      }
    }
  }
}

TEST(ShardedEmbedding, LooksUpWhatIsStaged) {
  const Context context(Device::cpu, 1);
  auto embedding = embedding_of(context, {}, {1, 2});
  const Id ids[] = {11, 4}, numbers[] = {2, 1};
  const std::int64_t begin[] = {0, 1};
  const std::int32_t length[] = {1, 1};
  FeatureBatch batch;
  batch.rows = 2;
  batch.fields[static_cast<std::size_t>(Field::item)] = {ids, begin, length};
  const auto look_up = [&] {
    const Tensor<float> out(context, 2, 3);
    embedding.lookup(context, batch, Field::item, out);
    return out.to_host(context);
  };
  EXPECT_THAT(error_of(look_up),
              testing::HasSubstr("'embedding.item' are on several ranks, and were not fetched"));
  batch.staged[static_cast<std::size_t>(Field::item)] = {numbers, begin, length};
  EXPECT_THAT(error_of(look_up), testing::HasSubstr("were not fetched"));
  embedding.table(Vocabulary::item)->staged =
      Tensor<float>::from(context, 3, 3, std::vector<float>{0, 0, 0, 1, 2, 3, 4, 5, 6});
  EXPECT_THAT(look_up(), testing::ElementsAre(4, 5, 6, 1, 2, 3));
}

}  // namespace
}  // namespace sllmr
