// The recipe for BARS' AmazonElectronics_x1, on a made-up file of that form.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "host/runs/training.h"
#include "kernels/exec/random.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// A row as the file has it: label, user, item, and the number of items before it.
using FileRow = std::tuple<int, std::string, std::string, int>;

/// 40 users with 5 or more of 60 items, each of which is one of 7 categories: of each item but the first a
/// row and one of another item, the last of them in test.csv, shuffled as DIN shuffles them.
class Bars : public testing::Test {
 protected:
  Bars() {
    std::filesystem::copy_file("experiments/descriptions/amazon_electronics_x1.toml",
                               folder_ / "amazon_electronics_x1.toml");
    std::uint64_t draws = 0;
    const auto draw = [&](std::uint32_t below_this) {
      return below(philox(1, 0, draws++, Purpose::negative, 0).word[0], below_this);
    };
    for (int user = 0; user < 40; ++user) {
      const int n = 5 + static_cast<int>(draw(6));
      std::vector<int> items;
      for (int k = 0; k < n; ++k) items.push_back(static_cast<int>((draw(6) * 10 + draw(10)) % 60));
      for (int k = 1; k < n; ++k) {
        for (const int label : {1, 0}) {
          const int item = label == 1 ? items[static_cast<std::size_t>(k)] : static_cast<int>(draw(60));
          if (label == 0 && item == items[static_cast<std::size_t>(k)]) continue;
          (k + 1 < n ? train_ : test_)
              .emplace_back(line(label, user, item, {items.begin(), items.begin() + k}),
                            FileRow(label, std::to_string(user), std::to_string(item), k));
        }
      }
    }
    for (auto* rows : {&train_, &test_}) {
      for (std::size_t k = rows->size(); k > 1; --k)
        std::swap((*rows)[k - 1], (*rows)[draw(static_cast<std::uint32_t>(k))]);
    }
    write("train.csv", train_);
    write("test.csv", test_);
  }

  using Rows = std::vector<std::pair<std::string, FileRow>>;

  static std::string line(int label, int user, int item, const std::vector<int>& before) {
    std::string items, categories;
    for (const int each : before) {
      items += (items.empty() ? "" : "^") + std::to_string(each);
      categories += (categories.empty() ? "" : "^") + std::to_string(each % 7);
    }
    return std::to_string(label) + "," + std::to_string(user) + "," + std::to_string(item) + "," +
           std::to_string(item % 7) + "," + items + "," + categories + "\n";
  }
  void write(const std::string& name, const Rows& rows) const {
    std::ofstream file(folder_ / name);
    file << "label,user_id,item_id,cate_id,item_history,cate_history\n";
    for (const auto& [text, row] : rows) file << text;
  }
  static std::vector<FileRow> rows_of(const Rows& rows) {
    std::vector<FileRow> out;
    for (const auto& [text, row] : rows) out.push_back(row);
    return out;
  }

  /// The recipe, with a small network.
  Config config() const {
    const std::vector<std::string> small = {"data.path=" + folder_.path().string(),
                                            "run_dir=" + (folder_ / "run"),
                                            "model.width=8",
                                            "model.hidden=[16, 8]",
                                            "train.batch_size=32",
                                            "train.epochs=6",
                                            "device=cpu",
                                            "threads=1"};
    return load_config("experiments/recipes/bars_amazon_electronics.toml", small);
  }

  TemporaryFolder folder_;
  Rows train_, test_;
};

std::vector<FileRow> file_rows(const World& world, const std::vector<CtrRow>& rows) {
  std::vector<FileRow> out;
  for (const CtrRow& row : rows) {
    out.emplace_back(static_cast<int>(row.label), world.data->users.token(row.user),
                     world.data->items.token(row.item), row.position);
  }
  return out;
}

TEST_F(Bars, TrainsAndTestsTheRowsOfTheFiles) {
  const Config recipe = config();
  const World world = load_world(recipe);
  const auto train = file_rows(world, ctr_train_rows(world.split, recipe.seed)),
             test = file_rows(world, ctr_test_rows(world.split, recipe.seed));
  // Where chance has made the negative the positive there is none in the file, and one is drawn.
  for (const auto& [made, rows] : {std::pair(train, rows_of(train_)), std::pair(test, rows_of(test_))}) {
    std::vector<FileRow> expected = rows, found = made;
    std::ranges::sort(expected);
    std::ranges::sort(found);
    std::vector<FileRow> missing;
    std::ranges::set_difference(expected, found, std::back_inserter(missing));
    EXPECT_THAT(missing, testing::IsEmpty());
    EXPECT_LE(made.size() - rows.size(), made.size() / 20);
  }
  EXPECT_THAT(world.split.validation, testing::Each(0));
}

TEST_F(Bars, TheRecipeRuns) {
  testing::internal::CaptureStderr();
  const nlohmann::json summary = train(config(), false);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("eval.monitor_on=test"));
  EXPECT_EQ(summary["test"]["n"]["all"].get<std::int64_t>(), 80);
  EXPECT_EQ(summary["validation"]["on"], "test");
  EXPECT_EQ(summary["validation"]["best"], summary["test"]["auc"]["all"]);
  EXPECT_TRUE(summary["test"].contains("gauc"));
  EXPECT_TRUE(summary["test"].contains("log_loss"));
}

}  // namespace
}  // namespace sllmr
