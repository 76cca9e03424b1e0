#include "host/text/decision_texts.h"

#include <gmock/gmock.h>

#include "tests/host/support.h"
#include "tests/host/text/shelf.h"

namespace sllmr {
namespace {

using testing::ElementsAre;

TEST(DecisionTexts, TellTheHistoryTheItemAndTheOutcome) {
  const Dataset data = test::shelf(test::cosmetics());
  const std::vector<FeatureRow> rows{{1, 5, 3}, {1, 2, 1}, {1, 4, 0}};
  const std::vector<std::int8_t> labels{1, 0, 1};
  EXPECT_THAT(
      decision_texts(data, rows, labels, 2),
      ElementsAre("The user bought Blue nail-polish; nail file, glass. The user buys day cream for the face.",
                  "The user bought red nail polish. The user does not buy Blue nail-polish.",
                  "The user buys face cream for the night."));
}

}  // namespace
}  // namespace sllmr
