#include "host/guidance/judged.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/host/guidance/rows.h"

namespace sllmr {
namespace {

using JudgedTest = GuidedRows;

TEST_F(JudgedTest, KnowsEveryScoreAndNoOther) {
  const Judged judged(table_);
  std::int64_t found = 0;
  for (Id user = 1; user < data_.users.rows(); ++user) {
    for (Id item = 0; item <= data_.items.rows(); ++item) {
      const float expected = score({user, item, 0}), got = judged.score(user, item);
      found += !std::isnan(expected);
      EXPECT_TRUE(std::isnan(expected) ? std::isnan(got) : got == expected) << user << ' ' << item;
    }
  }
  EXPECT_EQ(found, table_.size());
}

}  // namespace
}  // namespace sllmr
