#include "models/initial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <vector>

namespace sllmr {
namespace {

using testing::Each;

template <class Real = double>
std::vector<Real> drawn(int threads, const Initial& initial, const InitialDraws& draws, std::uint64_t first,
                        std::size_t count) {
  std::vector<Real> values(count);
  draw_initial(Context(Device::cpu, threads), initial, draws, first, std::span(values));
  return values;
}

TEST(Initial, EveryPositionHasItsOwnDraw) {
  const InitialDraws draws{3, Purpose::init_item, 5};
  const std::vector<double> normals = drawn(1, Initial::normal(0.25), draws, 7, 100);
  const std::vector<double> uniforms = drawn(1, Initial::uniform(0.25), draws, 7, 100);
  for (std::size_t k = 0; k < 100; ++k) {
    const Draw draw = philox(3, 5, 7 + k, Purpose::init_item);
    EXPECT_EQ(normals[k], 0.25 * static_cast<double>(normal(draw.word[0], draw.word[1])));
    EXPECT_EQ(uniforms[k], 0.25 * (2 * static_cast<double>(uniform(draw.word[0])) - 1));
  }
  EXPECT_THAT(drawn(1, Initial::constant(0.1), draws, 7, 100), Each(0.1));
}

TEST(Initial, DependsOnDrawsAndPositionAlone) {
  const InitialDraws draws{1, Purpose::init_layer, 0};
  const std::vector<double> all = drawn(1, Initial::normal(1), draws, 0, 1000);
  EXPECT_EQ(drawn(2, Initial::normal(1), draws, 0, 1000), all);
  EXPECT_EQ(drawn(2, Initial::normal(1), draws, 400, 600), std::vector<double>(all.begin() + 400, all.end()));
  for (const InitialDraws& other :
       {InitialDraws{2, Purpose::init_layer, 0}, InitialDraws{1, Purpose::init_user, 0},
        InitialDraws{1, Purpose::init_layer, 1}}) {
    EXPECT_NE(drawn(1, Initial::normal(1), other, 0, 1000), all);
  }
}

TEST(Initial, AFloatIsTheDoubleRounded) {
  const InitialDraws draws{1, Purpose::init_layer, 0};
  const std::vector<double> exact = drawn(1, Initial::normal(0.1), draws, 0, 100);
  EXPECT_EQ(drawn<float>(1, Initial::normal(0.1), draws, 0, 100),
            std::vector<float>(exact.begin(), exact.end()));
}

}  // namespace
}  // namespace sllmr
