#include "kernels/embedding.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "kernels/exec/memory.h"

namespace sllmr {
namespace {

std::vector<float> numbers(std::size_t n, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<float> out(n);
  for (float& x : out) x = static_cast<float>(engine() % 2001) / 1000.0F - 1.0F;
  return out;
}

/// Widths around the 32 lanes of a warp; ids repeat and include padding and the last row.
void expect_rows_and_products(const Context& context) {
  const std::vector<Id> user_ids{3, 0, 3, 4, 1}, item_ids{6, 2, 0, 6, 6};
  const Buffer<Id> users(context, std::span<const Id>(user_ids)),
      items(context, std::span<const Id>(item_ids));
  const auto n = static_cast<std::int64_t>(user_ids.size());
  for (const int width : {1, 5, 31, 32, 33, 64, 100}) {
    SCOPED_TRACE(width);
    const auto d = static_cast<std::size_t>(width);
    const std::vector<float> user_rows = numbers(5 * d, 1), item_rows = numbers(7 * d, 2);
    const Buffer<float> user_table(context, std::span<const float>(user_rows)),
        item_table(context, std::span<const float>(item_rows));
    Buffer<float> gathered(context, user_ids.size() * d), products(context, user_ids.size());
    const Matrix<const float> of_users(user_table.data(), 5, width), of_items(item_table.data(), 7, width);
    run(context, GatherRows{.table = of_users, .ids = users.data(), .out = {gathered.data(), n, width}});
    run(context, DotRows{.users = of_users,
                         .items = of_items,
                         .user_ids = users.data(),
                         .item_ids = items.data(),
                         .n = n,
                         .out = products.data()});
    const std::vector<float> rows = gathered.to_host(context), dots = products.to_host(context);
    for (std::size_t k = 0; k < user_ids.size(); ++k) {
      double dot = 0;
      for (std::size_t j = 0; j < d; ++j) {
        const float u = user_rows[static_cast<std::size_t>(user_ids[k]) * d + j];
        EXPECT_EQ(rows[k * d + j], u);
        dot += static_cast<double>(u) * item_rows[static_cast<std::size_t>(item_ids[k]) * d + j];
      }
      EXPECT_NEAR(dots[k], dot, 1e-5);
    }
  }
}

TEST(Embedding, RowsAndProducts) {
  expect_rows_and_products(Context(Device::cpu));
}
TEST(EmbeddingCuda, RowsAndProducts) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_rows_and_products(Context(Device::cuda));
}

}  // namespace
}  // namespace sllmr
