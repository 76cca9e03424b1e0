// kd.teacher=vectors.
#include "host/guidance/text_teacher.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "host/guidance/registry.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

constexpr int kMaxHistory = 4;
constexpr std::uint64_t kSeed = 7;

/// Unit vectors in which every item resembles its neighbours in id.
std::shared_ptr<const TextVectors> made_up_vectors(Id rows) {
  auto vectors = std::make_shared<TextVectors>();
  vectors->width = 3;
  vectors->values.assign(static_cast<std::size_t>(rows) * 3, 0.0F);
  for (Id item = 1; item < rows; ++item) {
    const double turn = 0.02 * item, x = std::cos(turn), y = std::sin(turn), z = 0.5 + 0.1 * (item % 5);
    const double length = std::sqrt(x * x + y * y + z * z);
    float* row = vectors->values.data() + 3 * item;
    row[0] = static_cast<float>(x / length), row[1] = static_cast<float>(y / length);
    row[2] = static_cast<float>(z / length);
  }
  return vectors;
}

/// A data set that may be another tomorrow, with the teacher that learns from it.
class Taught {
 public:
  explicit Taught(Dataset data, double temperature = 1)
      : data_(std::move(data)),
        split_(leave_one_out(data_)),
        vectors_(made_up_vectors(data_.items.rows())),
        teacher_(vectors_, split_, kSeed, kMaxHistory, temperature) {}
  Taught(const Taught&) = delete;
  Taught& operator=(const Taught&) = delete;

  const Split& split() const { return split_; }
  const TextVectors& vectors() const { return *vectors_; }
  const TextTeacher& teacher() const { return teacher_; }
  /// t of `user` at every position up to `last`, of some items each.
  std::vector<float> told(Id user, std::int32_t last) const {
    std::vector<float> all;
    for (std::int32_t position = 1; position <= last; ++position) {
      // The next item is in the training rows, the others hardly ever.
      all.push_back(
          teacher_({user, data_.user_history(user)[static_cast<std::size_t>(position) - 1], position}));
      for (Id item = 1; item < data_.items.rows(); item += 9) all.push_back(teacher_({user, item, position}));
    }
    return all;
  }

 private:
  Dataset data_;
  Split split_;
  std::shared_ptr<const TextVectors> vectors_;
  TextTeacher teacher_;
};

Dataset world() {
  return synthetic_dataset(small_world(60, 200));
}

/// cos(mean of the history, item) in double precision, written naively.
double cosine(const Split& split, const TextVectors& vectors, const FeatureRow& row) {
  std::vector<double> mean(static_cast<std::size_t>(vectors.width), 0.0);
  const auto history = split.data->user_history(row.user);
  const int seen = std::min(row.position, kMaxHistory);
  for (int k = row.position - seen; k < row.position; ++k) {
    for (std::size_t c = 0; c < mean.size(); ++c) {
      mean[c] += static_cast<double>(vectors.of(history[static_cast<std::size_t>(k)])[c]) / seen;
    }
  }
  double product = 0, mean_norm = 0, item_norm = 0;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const auto e = static_cast<double>(vectors.of(row.item)[c]);
    product += mean[c] * e, mean_norm += mean[c] * mean[c], item_norm += e * e;
  }
  return product / (std::sqrt(mean_norm) * std::sqrt(item_norm));
}

struct Line {
  double a, b;
};

/// (a, b) of the greatest likelihood over the rows of users whose id is odd or even, by a search that halves
/// its steps.
Line searched(const Split& split, const TextVectors& vectors, bool odd) {
  std::vector<std::pair<double, double>> rows;  // cosine, label
  for (const CtrRow& row : ctr_train_rows(split, kSeed)) {
    if ((row.user % 2 == 1) != odd) continue;
    rows.emplace_back(cosine(split, vectors, {row.user, row.item, row.position}), row.label);
  }
  const auto loss = [&](const Line& line) {
    double sum = 0;
    for (const auto& [x, y] : rows) {
      const double p = 1 / (1 + std::exp(-(line.a * x + line.b)));
      sum -= y * std::log(p) + (1 - y) * std::log(1 - p);
    }
    return sum;
  };
  // a and b pull against each other: so (slope, value in the middle of the cosines).
  double middle = 0;
  for (const auto& [x, y] : rows) middle += x / static_cast<double>(rows.size());
  const auto line_of = [&](double slope, double value) { return Line{slope, value - slope * middle}; };
  double slope = 0, value = 0, best = loss(line_of(slope, value));
  for (double step = 4; step > 1e-7;) {
    bool gained = false;
    for (const auto& [d_slope, d_value] : {std::pair{step, 0.0}, {-step, 0.0}, {0.0, step}, {0.0, -step}}) {
      const double there = loss(line_of(slope + d_slope, value + d_value));
      if (!(there < best)) continue;
      slope += d_slope, value += d_value, best = there;
      gained = true;
    }
    if (!gained) step /= 2;
  }
  return line_of(slope, value);
}

TEST(TextTeacher, IsALogisticRegressionOnTheCosineOfHistoryAndItem) {
  for (const double temperature : {1.0, 2.5}) {
    const Taught taught(world(), temperature);
    const Split& split = taught.split();
    const Line of_even = searched(split, taught.vectors(), true),
               of_odd = searched(split, taught.vectors(), false);
    EXPECT_GT(std::fabs(of_even.a - of_odd.a), 1e-3) << "the test cannot tell the halves apart";
    const auto expect = [&](const FeatureRow& row) {
      const Line& line = row.user % 2 == 0 ? of_even : of_odd;
      const double logit = (line.a * cosine(split, taught.vectors(), row) + line.b) / temperature;
      EXPECT_TRUE(near(taught.teacher()(row), 1 / (1 + std::exp(-logit)), {2e-5, 0}))
          << row.user << " " << row.item << " " << row.position;
    };
    for (const CtrRow& row : ctr_train_rows(split, kSeed)) expect({row.user, row.item, row.position});
    // Negatives drawn anew, longer histories than are seen, positions behind the training rows.
    for (Id user = 1; user < split.data->users.rows(); ++user) {
      const auto length = static_cast<std::int32_t>(split.data->user_history(user).size());
      for (const std::int32_t position : {1, length / 2, length}) expect({user, 1 + user % 150, position});
    }
  }
}

TEST(TextTeacher, TellsProbabilitiesOfTheTrainingRows) {
  const Taught taught(world());
  const auto told = taught.teacher().of_training_rows();
  EXPECT_EQ(told.size(), ctr_train_rows(taught.split(), kSeed).size());
  for (const float t : told) EXPECT_TRUE(t > 0 && t < 1);
  // The likelihood's maximum has an intercept: the mean of t is that of the labels, but for the other half's
  // fit.
  double mean = 0;
  for (const float t : told) mean += static_cast<double>(t) / static_cast<double>(told.size());
  EXPECT_NEAR(mean, 0.5, 0.05);
}

TEST(TextTeacher, OfARowDoesNotChangeWhenLaterInteractionsAreAppended) {
  const Dataset before = world();
  Dataset after = world();
  const Id user = before.users.rows() - 1;
  const auto length = static_cast<std::int32_t>(before.user_history(user).size());
  for (const Id item : {3, 40, 77, 12}) after.history.push_back(item);
  after.history_offsets.back() += 4;
  const Taught then(before), now(after);
  EXPECT_EQ(now.told(user, length), then.told(user, length));
  EXPECT_NE(now.told(user - 1, 3), then.told(user - 1, 3)) << "whom the user teaches";
}

TEST(TextTeacher, OfAUserDoesNotChangeWithTheUsersOwnLabels) {
  const Dataset before = world();
  Dataset after = world();
  const Id user = 10;
  const std::int32_t position = 2;  // what follows it is another item
  const auto begin = static_cast<std::size_t>(after.history_offsets[static_cast<std::size_t>(user)]);
  for (auto k = begin + position; k < begin + before.user_history(user).size(); ++k) {
    after.history[k] = 1 + (after.history[k] + 57) % before.items.count();
  }
  const Taught then(before), now(after);
  EXPECT_EQ(now.told(user, position), then.told(user, position));
  for (const Id same_half : {user - 2, user + 2}) EXPECT_EQ(now.told(same_half, 2), then.told(same_half, 2));
  for (const Id other_half : {user - 1, user + 1})
    EXPECT_NE(now.told(other_half, 2), then.told(other_half, 2));
}

TEST(TextTeacher, HasNoneOfARowWithoutAHistory) {
  const Taught taught(world());
  EXPECT_TRUE(std::isnan(taught.teacher()({3, 5, 0})));
  EXPECT_FALSE(std::isnan(taught.teacher()({3, 5, 1})));
}

TEST(TextTeacher, NeedsTrainingRowsInBothHalves) {
  Dataset data;
  for (const char* user : {"a", "b"}) data.users.add(user);
  for (const char* item : {"1", "2", "3", "4", "5", "6", "7", "8"}) data.items.add(item);
  data.history = {1, 2, 3, 4, 5, 6, 7};
  data.history_offsets = {0, 0, 5, 7};
  const Split split = leave_one_out(data);
  EXPECT_THAT(error_of([&] { TextTeacher(made_up_vectors(9), split, kSeed, 20, 1); }),
              HasSubstr("one of them"));
}

}  // namespace
}  // namespace sllmr
