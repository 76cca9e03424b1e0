#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "host/data/import.h"
#include "host/guidance/registry.h"
#include "tests/host/support.h"
#include "tests/host/text/written.h"
#include "tests/host/train/bench.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Kar : public testing::Test {
 protected:
  Kar() {
    save_recbole(synthetic_dataset(small_world(150, 200)), folder_.path());
    data_ = load_dataset(folder_ / "synthetic");
    split_ = leave_one_out(data_);
  }
  WrittenVectors users(int history, std::int64_t width = LlmConfig().vector_width) const {
    return test::made_up_vectors(test::made_up_texts(Subject::user, split_, {.history = history}), data_,
                                 width);
  }
  Config config(const WrittenVectors& users, std::vector<std::string> more = {}) const {
    save_written_vectors(folder_ / "users", users, data_);
    more.push_back("kar.user_vectors=" + (folder_ / "users"));
    return recipe_of(small_ctr_words(folder_ / "synthetic", "kar", more));
  }
  std::string error(const WrittenVectors& users, const std::vector<std::string>& more = {}) const {
    const Config run = config(users, more);
    return error_of([&] { Bench bench(run); });
  }

  TemporaryFolder folder_;
  Dataset data_;
  Split split_;
};

/// A row reads its user's vector if it comes after what the text knows, and no row before does.
TEST_F(Kar, RowsReadTheirUsersTextOnlyIfTheyComeAfterIt) {
  Id user = 1;
  while (split_.train_items(user).size() < 6) ++user;
  const WrittenVectors own = users(3);
  WrittenVectors other = own;
  const auto at = static_cast<std::size_t>(std::ranges::find(own.subjects, user, &TextSubject::user) -
                                           own.subjects.begin());
  const auto width = static_cast<std::size_t>(own.width);
  for (std::size_t d = 0; d < width; ++d) other.values[at * width + d] *= -1;
  std::vector<CtrRow> rows;
  for (std::int32_t position = 1; position < 6; ++position) rows.push_back({user, 7, position, 1});
  // Untrained: the models differ by this user's vector alone.
  const auto logits = [&](const WrittenVectors& of) {
    Bench bench(config(of));
    return bench.trainer().ctr_logits(rows);
  };
  const std::vector<float> before = logits(own), after = logits(other);
  for (std::size_t k = 0; k < rows.size(); ++k) {
    EXPECT_EQ(before[k] != after[k], rows[k].position >= 3) << rows[k].position;
  }
}

TEST_F(Kar, RefusesTextsThatLeakUnlessItIsAllowed) {
  EXPECT_THAT(error(users(1000), {"data.max_history=50"}),
              AllOf(HasSubstr("comes after what its user's text knows"), HasSubstr("llm.allow_leak=true")));
  EXPECT_THAT(error(users(5), {"data.max_history=4"}),
              AllOf(HasSubstr("a text knows 5 interactions"), HasSubstr("--history 4"),
                    HasSubstr("llm.allow_leak=true")));
  EXPECT_EQ(error(users(1000), {"llm.allow_leak=true"}), "no error");
  EXPECT_EQ(error(users(2)), "no error");
  EXPECT_THAT(error(users(2, 9)), HasSubstr("vectors of 9 numbers, where the items' have"));
}

}  // namespace
}  // namespace sllmr
