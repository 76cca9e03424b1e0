// Every registered method of guidance, by enumeration: what each must keep,
// whichever it is.
#include "host/guidance/registry.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "host/data/import.h"
#include "tests/host/support.h"
#include "tests/host/text/written.h"
#include "tests/host/train/bench.h"
#include "tests/support/compare.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// How each method is switched off by a key of its own; a new method belongs
/// here.
const std::map<std::string, std::string>& switched_off() {
  static const std::map<std::string, std::string> all = {
      {"none", "method=none"},           {"gated", "method=never"},
      {"pointwise", "llm.lambda=0"},     {"kd", "kd.weight=0"},
      {"dllm2rec", "dllm2rec.weight=0"}, {"weights", "weights.strength=0"},
      {"text", "text.scale=0"},          {"kar", "kar.scale=0"},
      {"llmcf", "llmcf.scale=0"},        {"similar", "similar.weight=0"},
      {"rlmrec", "rlmrec.weight=0"}};
  return all;
}

/// A method as it is by itself, or with a setting that has it read something else; "@" is the test's folder.
struct Variant {
  std::string name, method;
  std::vector<std::string> setting = {};
};
std::ostream& operator<<(std::ostream& out, const Variant& variant) {
  return out << variant.name;
}
std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const GuidanceInfo& each : guidance_methods()) {
    all.push_back({std::string(each.name), std::string(each.name)});
  }
  all.push_back({"kd_of_vectors", "kd", {"kd.teacher=vectors"}});
  all.push_back({"llmcf_text", "llmcf", {"method=llmcf_text"}});
  all.push_back({"llmcf_of_chains", "llmcf", {"method=llmcf", "llmcf.chains=@/chains"}});
  all.push_back({"kar_of_users", "kar", {"kar.user_vectors=@/users"}});
  return all;
}

class EveryMethod : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    save_recbole(synthetic_dataset(small_world(300, 200)), folder_.path());
    const Dataset data = load_dataset(folder_ / "synthetic");
    const Split split = leave_one_out(data);
    const auto write = [&](const char* name, Subject about, const SubjectOptions& options) {
      const WrittenTexts texts = test::made_up_texts(about, split, options);
      save_written_vectors(folder_ / name, test::made_up_vectors(texts, data, LlmConfig().vector_width),
                           data);
    };
    const std::string& name = GetParam().name;
    if (name == "llmcf_of_chains") write("chains", Subject::example, {});
    if (name == "kar_of_users") write("users", Subject::user, {.history = 2});
  }

  const std::string& method() const { return GetParam().method; }
  const GuidanceInfo& info() const {
    return *std::ranges::find(guidance_methods(), method(), &GuidanceInfo::name);
  }
  /// The method's first word, on a backbone whose batch norm sees every row of
  /// a batch, or on one that the method does not refuse.
  Config config(const std::vector<std::string>& overrides = {}) const {
    std::vector<std::string> words =
        small_ctr_words(folder_ / "synthetic", info().words.front(), {"train.l2=1e-4", "llm.pair_rate=0.5"});
    if (info().name == "rlmrec") words.emplace_back("model.name=mf");
    for (const auto& more : {GetParam().setting, overrides})
      words.insert(words.end(), more.begin(), more.end());
    for (std::string& word : words) {
      if (const auto at = word.find("@/"); at != word.npos) word.replace(at, 2, folder_ / "");
    }
    return recipe_of(words);
  }

  TemporaryFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(Registry, EveryMethod, testing::ValuesIn(variants()),
                         [](const auto& each) { return each.param.name; });

TEST_P(EveryMethod, SwitchedOffItIsTheBackboneBitForBit) {
  ASSERT_TRUE(switched_off().contains(method())) << "say in switched_off() how";
  const std::vector<CtrRow> rows{{1, 2, 1, 1}, {5, 9, 2, 0}, {7, 3, 1, 1}};
  const auto logits = [&](const Config& config) {
    Bench bench(config);
    bench.train();
    return bench.trainer().ctr_logits(rows);
  };
  const std::vector<float> none = logits(config({"method=none"}));
  EXPECT_EQ(logits(config({switched_off().at(method())})), none);
  if (method() != "none") {
    EXPECT_NE(logits(config()), none) << "the test says nothing";
  }
}

TEST_P(EveryMethod, ContinuesBitForBitInTheMiddleOfAnEpoch) {
  Bench straight(config());
  const nlohmann::json report = to_json(straight.train());
  const std::string whole = straight.checkpoint(folder_ / "a");
  for (const std::int64_t stop : {512, 200, 700}) {
    Bench begun(config());
    ASSERT_FALSE(begun.trainer().train_epoch([&](std::int64_t row) { return row >= stop; }).has_value());
    begun.checkpoint(folder_ / "middle");
    Bench resumed(config());
    resumed.trainer().resume(read_safetensors(folder_ / "middle"));
    EXPECT_EQ(to_json(resumed.train()), report) << stop;
    EXPECT_EQ(resumed.checkpoint(folder_ / "b"), whole) << stop;
  }
}

TEST_P(EveryMethod, DoesNotDependOnThreads) {
  // One after the other: OpenBLAS takes as many threads as the latest context.
  const auto outcome = [&](int threads) {
    Bench bench(config(), threads);
    const nlohmann::json report = to_json(bench.train());
    return std::pair(report, bench.checkpoint(folder_ / "model"));
  };
  const auto [report, model] = outcome(1);
  const auto [report_of_three, model_of_three] = outcome(3);
  EXPECT_EQ(report, report_of_three);
  EXPECT_TRUE(model == model_of_three);
}

TEST_P(EveryMethod, TellsWhatItsColumnsShow) {
  const EpochReport report = Bench(config()).train();
  EXPECT_EQ(to_json(report_from_json(to_json(report))), to_json(report));
  for (const GuidanceColumn& column : info().columns) {
    const nlohmann::json::json_pointer path(column.path);
    ASSERT_TRUE(report.guidance.contains(path)) << column.path;
    // What another setting of the method tells is null.
    const nlohmann::json& value = report.guidance.at(path);
    EXPECT_TRUE(value.is_null() || std::isfinite(value.get<double>())) << column.path;
  }
}

/// Rounding differs between the devices and grows from step to step.
TEST_P(EveryMethod, TrainsOnCudaAsOnTheCpu) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  std::vector<CtrRow> rows;
  for (Id user = 1; user < 200; ++user) rows.push_back({user, 1 + user % 150, 1, 1});
  Bench cpu(config({"train.epochs=1"})), cuda(config({"train.epochs=1"}), 1, Device::cuda);
  const EpochReport expected = cpu.train(), report = cuda.train();
  EXPECT_TRUE(near(report.loss, expected.loss, {0, 1e-3}));
  EXPECT_LT(norm_error(cuda.trainer().ctr_logits(rows), cpu.trainer().ctr_logits(rows)), 0.01);
}

TEST_P(EveryMethod, SaysWhatItIs) {
  EXPECT_FALSE(info().summary.empty());
  EXPECT_FALSE(info().words.empty());
  std::set<std::string> known;
  for (const ConfigKeyInfo& key : config_keys()) known.insert(key.key);
  for (const PartKey& key : info().keys) {
    EXPECT_TRUE(known.contains(key.name)) << key.name;
    EXPECT_EQ(key.name.substr(0, key.name.find('.')), method());
    EXPECT_FALSE(key.doc.empty());
  }
}

TEST(Guidance, WordsNameOneMethodEach) {
  const std::vector<std::string> words = method_names();
  EXPECT_EQ(std::set<std::string>(words.begin(), words.end()).size(), words.size());
  EXPECT_THAT(error_of([] { find_guidance(load_config("", std::vector<std::string>{"method=agrement"})); }),
              HasSubstr("did you mean 'agreement'"));
}

}  // namespace
}  // namespace sllmr
