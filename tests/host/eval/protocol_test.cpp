#include "host/eval/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "host/eval/ctr.h"
#include "tests/host/eval/worlds.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class FixedModel final : public EvaluatedModel {
 public:
  explicit FixedModel(const FixedScorer& scorer) : scorer_(scorer) {}
  const Scorer& scorer(Target) override { return scorer_; }
  std::vector<float> ctr_logits(std::span<const CtrRow> rows) override {
    return score_rows(Context(Device::cpu), scorer_, rows);
  }

 private:
  const FixedScorer& scorer_;
};

Config config_of(const Protocol& protocol, std::vector<std::string> overrides = {}) {
  overrides.push_back("eval.protocol=" + std::string(protocol.name));
  return load_config("", overrides);
}

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> found;
  std::istringstream in(line);
  for (std::string field; std::getline(in, field, '\t');) found.push_back(field);
  return found;
}

TEST(Protocols, EveryOneGivesTheMetricsThatItOffersAndALineForEachRow) {
  const Dataset data = random_data(80, 30, 2);
  const Split split = leave_one_out(data);
  const FixedScorer scorer(data, 5);
  FixedModel model(scorer);
  const Context context(Device::cpu);
  std::set<std::string_view> names, headers;
  for (const Protocol& protocol : protocols()) {
    SCOPED_TRACE(protocol.name);
    EXPECT_TRUE(names.insert(protocol.name).second);
    EXPECT_TRUE(headers.insert(protocol.header).second) << "predictions say whose they are";
    EXPECT_FALSE(protocol.summary.empty());
    const Config config = config_of(protocol);
    EXPECT_EQ(&find_protocol(config), &protocol);
    for (const Target target : {Target::validation, Target::test}) {
      EXPECT_NO_THROW(protocol.check(config, split, target));
      std::ostringstream predictions;
      const nlohmann::json figures = protocol.evaluate({context, config, model, split, target}, &predictions);
      EXPECT_EQ(figures, protocol.evaluate({context, config, model, split, target}, nullptr));
      EXPECT_EQ(figures["protocol"], protocol.name);
      for (const MetricAt& each : metrics_of(protocol.offers(config.eval), config.eval.topk)) {
        for (const char* slice : kSliceNames) EXPECT_TRUE(figures[each.name].contains(slice)) << each.name;
        EXPECT_TRUE(figures[each.name]["all"].is_number()) << each.name;
      }
      std::istringstream lines(predictions.str());
      const std::vector<std::string> header = fields(std::string(protocol.header));
      std::int64_t rows = 0;
      std::map<std::string, std::int64_t> rows_of;
      for (std::string line; std::getline(lines, line); ++rows) {
        const std::vector<std::string> row = fields(line);
        ASSERT_EQ(row.size(), header.size());
        for (std::size_t k = 0; k < row.size(); ++k) rows_of[header[k]] += row[k] == "1" ? 1 : 0;
        EXPECT_NE(data.users.find(row[0]), 0);
        EXPECT_NE(data.items.find(row[1]), 0);
      }
      EXPECT_EQ(figures["n"]["all"], rows);
      for (const char* slice : {"cold", "tail"}) EXPECT_EQ(figures["n"][slice], rows_of[slice]) << slice;
    }
    const Dataset short_histories = data_of({{1, 2}, {2, 3}}, 4);
    const Split nothing = leave_one_out(short_histories);
    EXPECT_THAT(error_of([&] { protocol.check(config, nothing, Target::test); }),
                HasSubstr("users need at least 3 interactions"));
  }
}

TEST(Protocols, AnUnknownOneIsAnErrorThatNamesTheNearest) {
  EXPECT_THAT(
      error_of([&] { find_protocol(load_config("", std::vector<std::string>{"eval.protocol=ful"})); }),
      AllOf(HasSubstr("eval.protocol"), HasSubstr("did you mean 'full'")));
}

TEST(Protocols, KeysOfAnotherAreErrors) {
  for (const Protocol& protocol : protocols()) {
    for (const char* word : {"eval.topk=[5]", "eval.max_users=3", "eval.lists=true"}) {
      const std::string_view key = std::string_view(word).substr(0, std::string_view(word).find('='));
      const bool own = std::ranges::find(protocol.own_keys, key) != protocol.own_keys.end();
      const std::string error = error_of([&] { find_protocol(config_of(protocol, {word})); });
      EXPECT_THAT(error, own ? HasSubstr("no error") : HasSubstr("does not apply")) << protocol.name << word;
    }
  }
}

TEST(Monitors, NameTheMetricAndItsDirection) {
  const auto monitor = [](std::vector<std::string> overrides) {
    const Config config = load_config("", overrides);
    return monitor_of(config, find_protocol(config));
  };
  for (const Protocol& protocol : protocols()) {
    EXPECT_EQ(monitor_of(config_of(protocol), protocol).name, "auc");
    for (const MetricAt& each : metrics_of(protocol.offers({}), EvalConfig().topk)) {
      const Config config = config_of(protocol, {"eval.monitor=" + each.name});
      EXPECT_EQ(monitor_of(config, protocol).name, each.name);
      EXPECT_EQ(monitor_of(config, protocol).better, each.metric->better);
    }
  }
  EXPECT_EQ(monitor({"eval.protocol=ctr", "eval.monitor=log_loss"}).better, Better::lower);
  EXPECT_EQ(monitor({"eval.monitor=ndcg@20"}).better, Better::higher);
  EXPECT_EQ(monitor({"eval.lists=true", "eval.monitor=gini@10"}).better, Better::lower);
  EXPECT_EQ(monitor({"eval.topk=[3]", "eval.monitor=recall@3"}).name, "recall@3");
  EXPECT_THAT(error_of([&] { monitor({"eval.monitor=ndgc@10"}); }), HasSubstr("did you mean 'ndcg@10'"));
  EXPECT_THAT(error_of([&] {
                monitor({"eval.topk=[3]", "eval.monitor=recall@10"});
              }),
              HasSubstr("no 'recall@10'"));
  EXPECT_THAT(error_of([&] { monitor({"eval.monitor=gini@10"}); }), HasSubstr("set eval.lists=true"));
  EXPECT_THAT(error_of([&] {
                monitor({"eval.protocol=ctr", "eval.monitor=recall@10"});
              }),
              HasSubstr("did you mean"));
}

}  // namespace
}  // namespace sllmr
