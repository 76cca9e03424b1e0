#include "host/text/example_retrieval.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

#include "host/data/synthetic.h"
#include "tests/host/support.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

constexpr int kMaxHistory = 4;

/// A made-up world, random text vectors of its items, and its training rows.
struct RetrievalWorld {
  explicit RetrievalWorld(int width = 6) {
    SyntheticOptions options;
    options.users = 60;
    options.items = 80;
    options.topics = 4;
    data = std::make_shared<const Dataset>(synthetic_dataset(options));
    split = leave_one_out(*data);
    auto made = std::make_shared<TextVectors>();
    made->width = width;
    made->values = TestNumbers(5).many(
        static_cast<std::size_t>(data->items.rows()) * static_cast<std::size_t>(width), -1.0F, 1.0F);
    std::fill_n(made->values.begin(), width, 0.0F);
    vectors = made;
    for (const CtrRow& row : ctr_train_rows(split, 1)) rows.push_back({row.user, row.item, row.position});
  }
  ExampleRetrieval retrieval(RetrievalOptions options = {}) const {
    options.share = options.share == RetrievalOptions().share ? 0.5 : options.share;
    options.max_history = kMaxHistory;
    return {split, vectors, options};
  }
  std::vector<std::int32_t> find(const ExampleRetrieval& in, const std::vector<FeatureRow>& of) const {
    std::vector<std::int32_t> found(of.size() * static_cast<std::size_t>(in.each()));
    in.find(of, found);
    return found;
  }

  std::shared_ptr<const Dataset> data;
  Split split;
  std::shared_ptr<const TextVectors> vectors;
  std::vector<FeatureRow> rows;
};

double similarity(const RetrievalWorld& world, const FeatureRow& a, const FeatureRow& b) {
  const auto mean = [&](const FeatureRow& row, std::size_t d) {
    const auto history = world.data->user_history(row.user);
    const int first = std::max(0, row.position - kMaxHistory);
    double sum = 0;
    for (int k = first; k < row.position; ++k)
      sum += static_cast<double>(world.vectors->of(history[static_cast<std::size_t>(k)])[d]);
    return row.position == 0 ? 0 : sum / (row.position - first);
  };
  double sum = 0;
  for (std::size_t d = 0; d < static_cast<std::size_t>(world.vectors->width); ++d) {
    sum += mean(a, d) * mean(b, d) + static_cast<double>(world.vectors->of(a.item)[d]) *
                                         static_cast<double>(world.vectors->of(b.item)[d]);
  }
  return sum;
}

TEST(ExampleRetrieval, FindsTheBestTwoOfEitherLabel) {
  const RetrievalWorld world;
  for (const bool quirks : {false, true}) {
    const ExampleRetrieval retrieval = world.retrieval({.release_quirks = quirks});
    const auto found = world.find(retrieval, world.rows);
    for (std::size_t r = 0; r < world.rows.size(); ++r) {
      const FeatureRow& row = world.rows[r];
      std::set<std::int32_t> expected;
      for (const int label : {0, 1}) {
        std::vector<std::pair<double, std::int32_t>> order;
        for (std::size_t k = 0; k < retrieval.pool().size(); ++k) {
          const FeatureRow& other = retrieval.pool()[k];
          if (retrieval.labels()[k] != label) continue;
          if (other.user == row.user &&
              (quirks ? other.position > row.position : other.position >= row.position))
            continue;
          order.emplace_back(-similarity(world, row, other), static_cast<std::int32_t>(k));
        }
        std::ranges::sort(order);
        for (std::size_t k = 0; k < std::min<std::size_t>(2, order.size()); ++k)
          expected.insert(order[k].second);
      }
      const std::set<std::int32_t> got(found.begin() + static_cast<std::ptrdiff_t>(4 * r),
                                       found.begin() + static_cast<std::ptrdiff_t>(4 * r + 4));
      ASSERT_EQ(got, expected) << "row " << r << ", quirks " << quirks;
    }
  }
}

/// The release lets a row that is in the pool find itself; the guard never does.
TEST(ExampleRetrieval, NoRowFindsItselfButInTheRelease) {
  const RetrievalWorld world;
  for (const bool quirks : {false, true}) {
    const ExampleRetrieval retrieval = world.retrieval({.release_quirks = quirks});
    const std::vector<FeatureRow> pool(retrieval.pool().begin(), retrieval.pool().end());
    const auto found = world.find(retrieval, pool);
    std::size_t selves = 0;
    for (std::size_t k = 0; k < found.size(); ++k) selves += found[k] == static_cast<std::int32_t>(k / 4);
    if (quirks) {
      EXPECT_GT(selves, pool.size() / 2);
    } else {
      EXPECT_EQ(selves, 0U);
    }
  }
}

TEST(ExampleRetrieval, OrderIsDrawnAndDoesNotTellTheLabel) {
  const RetrievalWorld world;
  const ExampleRetrieval retrieval = world.retrieval();
  const auto found = world.find(retrieval, world.rows);
  EXPECT_EQ(found, world.find(world.retrieval(), world.rows));
  int positive[4] = {};
  for (std::size_t k = 0; k < found.size(); ++k) {
    ASSERT_GE(found[k], 0);
    positive[k % 4] += retrieval.labels()[static_cast<std::size_t>(found[k])];
  }
  const auto rows = static_cast<double>(world.rows.size());
  for (const int count : positive) EXPECT_NEAR(count / rows, 0.5, 4 * std::sqrt(0.25 / rows));
}

/// Neither threads nor the rows that are asked for together decide what is found.
TEST(ExampleRetrieval, DependsOnTheRowAlone) {
  const RetrievalWorld world(32);
  const auto all = world.find(world.retrieval({.threads = 2}), world.rows);
  const ExampleRetrieval one = world.retrieval({.threads = 1});
  for (std::size_t r = world.rows.size(); r-- > world.rows.size() - 200;) {
    const auto alone = world.find(one, {world.rows[r]});
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + static_cast<std::ptrdiff_t>(4 * r)))
        << r;
  }
}

TEST(ExampleRetrieval, LeavesSlotsEmptyWhereThePoolIsSmall) {
  const RetrievalWorld world;
  const ExampleRetrieval retrieval = world.retrieval({.share = 1.5 / static_cast<double>(world.rows.size())});
  ASSERT_LE(retrieval.pool().size(), 6U);
  const auto found = world.find(retrieval, world.rows);
  EXPECT_GT(std::ranges::count(found, -1), 0);
  for (const std::int32_t k : found) EXPECT_LT(k, static_cast<std::int32_t>(retrieval.pool().size()));
}

TEST(ExampleRetrieval, RefusesAPoolWithoutRows) {
  const RetrievalWorld world;
  EXPECT_THAT(error_of([&] { world.retrieval({.share = 1e-9}); }), HasSubstr("raise llmcf.share"));
}

}  // namespace
}  // namespace sllmr
