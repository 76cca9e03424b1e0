#include "host/eval/ctr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/mf.h"
#include "tests/host/eval/worlds.h"
#include "tests/host/support.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

template <class Member>
double auc_by_pairs(std::span<const CtrRow> rows, std::span<const float> logits, Member is_member) {
  double won = 0, pairs = 0;
  for (std::size_t p = 0; p < rows.size(); ++p) {
    for (std::size_t n = 0; n < rows.size(); ++n) {
      if (rows[p].label != 1 || rows[n].label != 0 || !is_member(rows[p]) || !is_member(rows[n])) continue;
      ++pairs;
      won += logits[p] > logits[n] ? 1.0 : logits[p] == logits[n] ? 0.5 : 0.0;
    }
  }
  return won / pairs;
}

TEST(Ctr, PoolsTheRowsOfEachSlice) {
  const Dataset data = random_data(200, 60, 2);
  const Split split = leave_one_out(data, {.cold_history = 4, .tail_share = 0.3});
  const std::vector<CtrRow> rows = ctr_test_rows(split, 1);
  const FixedScorer scorer(data, 5);
  std::vector<float> logits;
  for (const CtrRow& row : rows) logits.push_back(scorer.logit(row.user, row.item));
  const CtrResult result = evaluate_ctr(split, rows, score_rows(Context(Device::cpu), scorer, rows));
  const auto everything = [](const CtrRow&) { return true; };
  const auto cold = [&](const CtrRow& row) { return split.cold[static_cast<std::size_t>(row.user)] != 0; };
  const auto tail = [&](const CtrRow& row) { return split.tail[static_cast<std::size_t>(row.item)] != 0; };
  EXPECT_NEAR(result.figures.of("auc", Slice::all).value(), auc_by_pairs(rows, logits, everything), 1e-12);
  EXPECT_NEAR(result.figures.of("auc", Slice::cold).value(), auc_by_pairs(rows, logits, cold), 1e-12);
  EXPECT_NEAR(result.figures.of("auc", Slice::tail).value(), auc_by_pairs(rows, logits, tail), 1e-12);

  double loss = 0;
  std::int64_t positives = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const double p = 1 / (1 + std::exp(-double{logits[k]}));
    loss -= std::log(rows[k].label == 1 ? p : 1 - p);
    positives += rows[k].label == 1;
  }
  EXPECT_NEAR(result.figures.of("log_loss", Slice::all).value(), loss / static_cast<double>(rows.size()),
              1e-10);
  EXPECT_EQ(result.positives[0], positives);
  EXPECT_EQ(result.figures.rows(), static_cast<std::int64_t>(rows.size()));
  EXPECT_LT(result.positives[1], positives);
}

TEST(Ctr, HandExampleWithASliceOfOneClass) {
  const Dataset data = data_of({{1, 2, 3, 4, 5, 6, 7}, {1, 2, 3}}, 9);
  Split split = leave_one_out(data);
  split.tail.assign(10, 0);
  split.tail[9] = 1;  // only sampled
  const std::vector<CtrRow> rows{{1, 7, 6, 1}, {1, 8, 6, 0}, {2, 3, 2, 1}, {2, 9, 2, 0}};
  const CtrResult result = evaluate_ctr(split, rows, std::vector<float>{2, 1, 1, 1.5F});
  EXPECT_DOUBLE_EQ(result.figures.of("auc", Slice::all).value(), 2.5 / 4);
  EXPECT_DOUBLE_EQ(result.figures.of("auc", Slice::cold).value(), 0.0);
  EXPECT_FALSE(result.figures.of("auc", Slice::tail).has_value());
  EXPECT_EQ(result.positives[2], 0);
  EXPECT_EQ(result.figures.rows(Slice::tail), 1);
  EXPECT_NEAR(result.figures.of("log_loss", Slice::tail).value(), std::log1p(std::exp(1.5)), 1e-12);

  const nlohmann::json json = to_json(result);
  EXPECT_EQ(json["protocol"], "ctr");
  EXPECT_EQ(json["n"], (nlohmann::json{{"all", 4}, {"cold", 2}, {"tail", 1}}));
  EXPECT_EQ(json["positives"]["cold"], 1);
  EXPECT_EQ(json["auc"]["all"], 2.5 / 4);
  EXPECT_TRUE(json["auc"]["tail"].is_null());
  EXPECT_TRUE(json["log_loss"]["tail"].is_number());
}

TEST(Ctr, RefusesWhatHasNoFigure) {
  const Dataset data = data_of({{1, 2, 3}}, 4);
  const Split split = leave_one_out(data);
  const std::vector<CtrRow> rows{{1, 3, 2, 1}, {1, 4, 2, 0}};
  EXPECT_THAT(error_of([&] {
                evaluate_ctr(split, rows, std::vector<float>{1, kNan});
              }),
              HasSubstr("lower train.lr"));
  EXPECT_THAT(error_of([&] { evaluate_ctr(split, rows, std::vector<float>{1}); }), HasSubstr("as many"));
  EXPECT_THAT(error_of([&] { evaluate_ctr(split, {}, {}); }), HasSubstr("no row"));
}

TEST(CtrCuda, EqualsTheCpu) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Dataset data = random_data(200, 60, 2);
  const Split split = leave_one_out(data);
  const std::vector<CtrRow> rows = ctr_test_rows(split, 1);
  const Context cpu(Device::cpu), cuda(Device::cuda);
  const MfOptions options{64, 0.1, 1, OptimizerKind::sgd};
  const Mf here(cpu, data.users.rows(), data.items.rows(), options),
      there(cuda, data.users.rows(), data.items.rows(), options);
  EXPECT_NEAR(evaluate_ctr(split, rows, score_rows(cpu, here, rows)).figures.of("log_loss").value(),
              evaluate_ctr(split, rows, score_rows(cuda, there, rows)).figures.of("log_loss").value(), 1e-6);
}

}  // namespace
}  // namespace sllmr
