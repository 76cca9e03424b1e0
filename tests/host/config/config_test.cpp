#include "host/config/config.h"

#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Config from_overrides(const std::vector<std::string>& overrides) {
  return load_config("", overrides);
}
std::string override_error(const std::string& override) {
  return error_of([&] { from_overrides({override}); });
}

class RecipeTest : public testing::Test {
 protected:
  Config load(const std::string& recipe, const std::vector<std::string>& overrides = {}) const {
    std::ofstream(path_) << recipe;
    return load_config(path_, overrides);
  }
  std::string error(const std::string& recipe) const {
    return error_of([&] { load(recipe); });
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "recipe.toml";
};

TEST(Config, NothingGivenIsAllDefaults) {
  const Config config = load_config("", {});
  EXPECT_EQ(config.train.lr, 0.05);
  EXPECT_EQ(config.gate.objective, "agreement");
  EXPECT_FALSE(config.is_set("train.lr"));
  EXPECT_TRUE(config.origins.empty());
}

TEST_F(RecipeTest, EveryTypeIsRead) {
  const Config config = load(R"(
    method = "global"
    seed = 7
    [train]
    mode = "exact"
    lr = 1e-3
    l2 = 0
    chunk_rows = 5_000_000_000
    [llm]
    noise_slice = "head"
    [eval]
    topk = [5, 50]
  )");
  EXPECT_EQ(config.method, "global");
  EXPECT_EQ(config.seed, 7u);
  EXPECT_EQ(config.train.mode, TrainConfig::Mode::exact);
  EXPECT_EQ(config.train.lr, 1e-3);
  EXPECT_EQ(config.train.l2, 0.0);
  EXPECT_EQ(config.train.chunk_rows, 5'000'000'000);
  EXPECT_EQ(config.llm.noise_slice, NoiseSlice::head);
  EXPECT_THAT(config.eval.topk, ElementsAre(5, 50));
}

TEST_F(RecipeTest, WordsOfChoicesNameTheirEnumerators) {
  EXPECT_EQ(from_overrides({"device=auto"}).device, Config::Device::automatic);
  EXPECT_EQ(from_overrides({"device=cpu"}).device, Config::Device::cpu);
  EXPECT_EQ(from_overrides({"device=cuda"}).device, Config::Device::cuda);
  EXPECT_EQ(from_overrides({"train.mode=fused"}).train.mode, TrainConfig::Mode::fused);
  EXPECT_EQ(from_overrides({"train.mode=exact"}).train.mode, TrainConfig::Mode::exact);
  EXPECT_EQ(from_overrides({"train.loss=bpr"}).train.loss, BaseLoss::bpr);
  EXPECT_EQ(from_overrides({"train.loss=bce"}).train.loss, BaseLoss::bce);
  EXPECT_EQ(from_overrides({"train.loss=clamped_bce"}).train.loss, BaseLoss::clamped_bce);
  EXPECT_EQ(from_overrides({"model.cross=mixture"}).model.cross, CrossKind::mixture);
  EXPECT_EQ(from_overrides({"model.cross=full"}).model.cross, CrossKind::full);
  EXPECT_EQ(from_overrides({"llm.stale=warn"}).llm.stale, LlmConfig::Stale::warn);
  EXPECT_EQ(from_overrides({"llm.stale=refuse"}).llm.stale, LlmConfig::Stale::refuse);
  EXPECT_EQ(from_overrides({"data.duplicates=error"}).data.duplicates, Duplicates::error);
  EXPECT_EQ(from_overrides({"data.duplicates=last"}).data.duplicates, Duplicates::last);
  EXPECT_EQ(from_overrides({"data.duplicates=keep"}).data.duplicates, Duplicates::keep);
  EXPECT_EQ(from_overrides({"data.split=leave_one_out"}).data.split, SplitSource::leave_one_out);
  EXPECT_EQ(from_overrides({"data.split=given"}).data.split, SplitSource::given);
  EXPECT_EQ(from_overrides({"llm.pairs=sampled"}).llm.pairs, PairChoice::sampled);
  EXPECT_EQ(from_overrides({"llm.pairs=largest"}).llm.pairs, PairChoice::largest);
  EXPECT_EQ(from_overrides({"llm.noise_slice=all"}).llm.noise_slice, NoiseSlice::all);
  EXPECT_EQ(from_overrides({"llm.noise_slice=warm"}).llm.noise_slice, NoiseSlice::warm);
  for (const OptimizerInfo& info : kOptimizers) {
    EXPECT_EQ(from_overrides({"train.optimizer=" + std::string(info.name)}).train.optimizer, info.kind);
  }
  EXPECT_EQ(from_overrides({"llm.lambda=.5"}).llm.lambda, 0.5);
  for (const NoiseKindInfo& kind : kNoiseKinds) {
    EXPECT_EQ(from_overrides({"llm.noise_kind=" + std::string(kind.name)}).llm.noise_kind, kind.kind);
  }
  for (const UncertaintyInfo& info : kUncertainties) {
    EXPECT_EQ(from_overrides({"gate.uncertainty=" + std::string(info.name)}).gate.uncertainty, info.kind);
  }
}

TEST_F(RecipeTest, EndsOfARangeOfTimesAreDatesOrNumbers) {
  EXPECT_EQ(load("[data]\nfrom = '2018-01-31'\nto = 1_500_000_000").data.to, "1500000000");
  EXPECT_EQ(load("[data]\nfrom = 1.5").data.from, "1.5");
  EXPECT_EQ(from_overrides({"data.from=2018-01-31"}).data.from, "2018-01-31");
  EXPECT_EQ(from_overrides({"data.from="}).data.from, "");
  EXPECT_THAT(override_error("data.to=31.1.2018"),
              HasSubstr("expected a date such as \"2018-01-31\", or a number, got 31.1.2018"));
  // TOML has dates of its own, which say no unit either.
  EXPECT_THAT(error("[data]\nfrom = 2018-01-31"), HasSubstr("expected a date such as \"2018-01-31\""));
}

TEST_F(RecipeTest, OverridesWinAndTheLastOneMost) {
  const Config config = load("[llm]\nlambda = 0.1\nmargin = 2", {"llm.lambda=0.2", "llm.lambda=0.3"});
  EXPECT_EQ(config.llm.lambda, 0.3);
  EXPECT_EQ(config.llm.margin, 2.0);
  EXPECT_EQ(config.origins.at("llm.lambda"), "command line");
  EXPECT_EQ(config.origins.at("llm.margin"), path_ + ":3");
}

TEST(Config, OverridesOfStringsNeedNoQuotes) {
  EXPECT_EQ(from_overrides({"data.path=../data/beauty"}).data.path, "../data/beauty");
  EXPECT_EQ(from_overrides({"run_dir=7"}).run_dir, "7");
  EXPECT_EQ(from_overrides({"run_dir=a=b c"}).run_dir, "a=b c");
  EXPECT_EQ(from_overrides({R"(run_dir="quo\"ted")"}).run_dir, "quo\"ted");
  EXPECT_EQ(from_overrides({"run_dir="}).run_dir, "");
}

TEST_F(RecipeTest, UnknownKeyNamesFileLineAndNearestKey) {
  EXPECT_EQ(error("seed = 1\n[llm]\nlamda = 0.1"),
            "unknown config key 'llm.lamda' (" + path_ + ":3); did you mean 'llm.lambda'?");
  EXPECT_THAT(error("[lmm]\nlambda = 1"), HasSubstr("unknown config key 'lmm'"));
  EXPECT_THAT(error("[lmm]\nlambda = 1"), HasSubstr("did you mean 'llm'?"));
  EXPECT_THAT(error("[lmm]"), HasSubstr("unknown config key 'lmm'"));
  EXPECT_THAT(error("[llm.sub]\nlambda = 1"), HasSubstr("unknown config key 'llm.sub'"));
  EXPECT_THAT(error("llm = 3"), HasSubstr("is a section"));
  EXPECT_THAT(error("defaults = 3"), HasSubstr("unknown config key 'defaults'"));
  EXPECT_THAT(error("[defaults.llm]\nlamda = 3"), HasSubstr("did you mean 'llm.lambda'?"));
}

TEST(Config, UnknownOverrideNamesNearestKey) {
  EXPECT_EQ(override_error("train.epoch=1"),
            "unknown config key 'train.epoch' (command line); did you mean 'train.epochs'?");
  EXPECT_THAT(override_error("margin=1"), HasSubstr("did you mean 'llm.margin'?"));
  EXPECT_THAT(override_error("llm=1"), HasSubstr("is a section"));
  EXPECT_THAT(override_error("defaults.seed=1"), HasSubstr("unknown config key"));
  EXPECT_THAT(override_error("llm.lambda"), HasSubstr("expected key=value"));
  EXPECT_THAT(override_error("=1"), HasSubstr("expected key=value"));
}

TEST_F(RecipeTest, WrongTypeNamesExpectedAndGot) {
  EXPECT_EQ(error("[train]\n\nepochs = \"many\""),
            "'train.epochs' (" + path_ + ":3): expected an integer in [0, 2147483647], got 'many'");
  EXPECT_THAT(error("[train]\nepochs = 2.0"), HasSubstr("expected an integer in [0, 2147483647], got 2.0"));
  EXPECT_THAT(error("method = 3"), HasSubstr("expected a string, got 3"));
  EXPECT_THAT(error("seed = true"), HasSubstr("got true"));
  EXPECT_THAT(error("[llm]\nlambda = [1]"), HasSubstr("expected a number in [0, 1e30]"));
  EXPECT_THAT(error("[llm.lambda]\nx = 1"), HasSubstr("'llm.lambda'"));
  EXPECT_THAT(
      error("[eval]\ntopk = 10"),
      HasSubstr("expected an ascending array of integers in [1, 2147483647], 1 to 64 of them, got 10"));
  EXPECT_THAT(error("[eval]\ntopk = [10, 0.5]"), HasSubstr("expected an ascending array"));
}

TEST(Config, OutOfRangeIsAnError) {
  for (const char* override : {"seed=-1",
                               "train.epochs=-1",
                               "train.epochs=99999999999",
                               "train.lr=0",
                               "train.lr=-0.1",
                               "train.lr=inf",
                               "train.lr=nan",
                               "train.l2=-1",
                               "llm.noise=1.01",
                               "llm.noise=nan",
                               "llm.candidates=1",
                               "model.width=0",
                               "train.lr=fast",
                               "train.lr=",
                               "eval.topk=[]",
                               "eval.topk=[0, 10]",
                               "eval.topk=[20, 10]",
                               "eval.topk=[10, 10]",
                               "eval.topk=[1, 99999999999]",
                               "train.lr=1e-40",
                               "train.lr=1e39",
                               "llm.lambda=1e300",
                               "model.width=4097",
                               "model.hidden=[32769]",
                               "model.hidden=[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"}) {
    EXPECT_THAT(override_error(override), HasSubstr("(command line): expected")) << override;
  }
}

TEST_F(RecipeTest, DeepNestingIsAnError) {
  std::string deep = "a";
  for (int k = 0; k < 100'000; ++k) deep += ".a";
  EXPECT_THAT(error("seed = 1\n" + deep + " = 1"), HasSubstr(path_ + ":2: not TOML, or nested"));
  EXPECT_THAT(error("[" + deep + "]"), HasSubstr(path_ + ":1: not TOML, or nested"));
  const std::string lists = std::string(100'000, '[') + std::string(100'000, ']');
  for (const std::string& value : {lists, "{" + deep + " = 1}"}) {
    const std::string message = override_error("eval.topk=" + value);
    EXPECT_THAT(message, HasSubstr("(command line): expected an ascending array"));
    EXPECT_LT(message.size(), 500U) << "the value is shown in part";
  }
  EXPECT_LT(override_error(deep + "=1").size(), 500U);
  EXPECT_LT(override_error("device=" + deep).size(), 500U);
  EXPECT_THAT(override_error("seed=1\nmethod='none'"), HasSubstr("expected an integer"));
}

// The range is told, and no number that TOML can write gets past it into a smaller type.
TEST(Config, EveryIntegerHasAMostThatTheErrorNames) {
  for (const ConfigKeyInfo& key : config_keys()) {
    if (!key.type.starts_with("an integer")) continue;
    for (const char* number : {"9223372036854775807", "-9223372036854775808"}) {
      if (key.key == "seed" && number[0] == '9') continue;  // any seed will do
      EXPECT_EQ(override_error(key.key + "=" + number),
                "'" + key.key + "' (command line): expected " + key.type + ", got " + number);
    }
  }
  EXPECT_EQ(override_error("train.chunk_rows=1537228672809129302"),
            "'train.chunk_rows' (command line): expected an integer in [1, 1099511627776], got "
            "1537228672809129302");
}

TEST_F(RecipeTest, WrongChoiceNamesTheNearest) {
  EXPECT_EQ(error("[train]\nloss = \"bcf\""),
            "'train.loss' (" + path_ +
                ":2): expected one of bpr, bce, clamped_bce, got 'bcf'; did you mean 'bce'?");
  EXPECT_THAT(override_error("device=gpu"), HasSubstr("expected one of auto, cpu, cuda"));
  EXPECT_THAT(override_error("device=gpu"), HasSubstr("did you mean 'cpu'?"));
}

TEST_F(RecipeTest, MalformedRecipesNameFileAndLine) {
  EXPECT_THAT(error("seed = 1\nseed = 2"), HasSubstr(path_ + ":2: not TOML"));
  EXPECT_THAT(error("[llm\nlambda = 2"), HasSubstr(path_ + ":1: not TOML"));
}

TEST(Config, UnreadableRecipesNamePathAndCause) {
  EXPECT_EQ(error_of([] { load_config("/missing/recipe.toml", {}); }),
            "cannot read recipe '/missing/recipe.toml': No such file or directory");
  EXPECT_THAT(error_of([] { load_config(testing::TempDir(), {}); }), HasSubstr("is a folder"));
}

// A value other than the default for each key.
std::string another_value(const ConfigKeyInfo& key) {
  if (key.type.starts_with("one of")) return key.type.substr(key.type.rfind(' ') + 1);
  if (key.type.starts_with("an integer")) {
    const std::size_t high = key.type.rfind(", ");  // "an integer in [0, 16]"
    const bool is_small = key.type.ends_with(']') && key.type.size() - high < std::string("., 123]").size();
    return is_small ? key.type.substr(high + 2, key.type.size() - high - 3) : "123";
  }
  if (key.type.starts_with("a date")) return "2018-01-31";
  if (key.type.starts_with("a number")) return "0.123456789012345678";
  if (key.type.find("array of integers") != key.type.npos) return "[1, 7, 30]";
  if (key.type == "true or false") return key.default_value == "true" ? "false" : "true";
  return R"(a "quoted" \ path = with spaces # and 'more')";
}

TEST_F(RecipeTest, EffectiveConfigRoundTrips) {
  std::vector<std::string> overrides;
  for (const ConfigKeyInfo& key : config_keys()) overrides.push_back(key.key + "=" + another_value(key));
  const Config all_set = from_overrides(overrides);
  const Config some_set = from_overrides({"llm.lambda=0.1", "seed=3"});
  for (const Config& config : {all_set, some_set, Config()}) {
    const Config again = load(to_toml(config));
    EXPECT_EQ(to_toml(again), to_toml(config));
    for (const ConfigKeyInfo& key : config_keys()) EXPECT_EQ(again.is_set(key.key), config.is_set(key.key));
  }
  const Config again = load(to_toml(all_set));
  EXPECT_EQ(again.train.lr, 0.123456789012345678);
  EXPECT_EQ(again.data.path, R"(a "quoted" \ path = with spaces # and 'more')");
  EXPECT_EQ(again.eval.topk, all_set.eval.topk);
  EXPECT_EQ(again.gate.uncertainty, std::end(kUncertainties)[-1].kind);
}

TEST(Config, EffectiveConfigPutsWhatWasSetFirst) {
  EXPECT_THAT(to_toml(from_overrides({"llm.lambda=1", "method=global"})),
              testing::StartsWith("method = 'global'\n\n[llm]\nlambda = 1.0\n\n[defaults]\nseed = 1\n"));
}

TEST_F(RecipeTest, StoredDefaultsApplyWithoutCountingAsSet) {
  const Config config =
      load("[defaults]\nseed = 5\n[defaults.train]\nbatch_size = 7\nlr = 0.3\n[train]\nlr = 0.2");
  EXPECT_EQ(config.seed, 5u);
  EXPECT_EQ(config.train.batch_size, 7);
  EXPECT_FALSE(config.is_set("train.batch_size"));
  EXPECT_EQ(config.train.lr, 0.2);
  EXPECT_TRUE(config.is_set("train.lr"));
}

TEST(Config, ARandomGateMayBelieveAsMuchAsAnotherRun) {
  const TemporaryFolder folder;
  const std::string run = folder.path(), key = "gate.mean_alpha=" + run;
  EXPECT_THAT(override_error(key),
              AllOf(HasSubstr("gate.mean_alpha"), HasSubstr(run), HasSubstr("summary.json")));
  std::ofstream(folder / "summary.json") << R"({"guidance": {"mean_weight": 0.375, "rule": "learned"}})";
  EXPECT_EQ(from_overrides({key}).gate.mean_alpha, 0.375);
  for (const char* text :
       {R"({"guidance": {"rule": "learned"}})", R"({"guidance": {"mean_weight": null, "rule": "learned"}})",
        R"({"guidance": {"mean_weight": 0.5}})", "[1", ""}) {
    std::ofstream(folder / "summary.json") << text;
    EXPECT_THAT(override_error(key), AllOf(HasSubstr("guidance.mean_weight"), HasSubstr(run))) << text;
  }
  std::ofstream(folder / "summary.json") << R"({"guidance": {"mean_weight": 1.5, "rule": "learned"}})";
  EXPECT_THAT(override_error(key), AllOf(HasSubstr("1.5, not in [0, 1]"), HasSubstr(run)));
  EXPECT_THAT(override_error("gate.mean_alpha=\"\""), HasSubstr("empty"));
}

TEST(Config, OptionsThatDoNotApplyAreErrors) {
  const Config config = from_overrides({"train.batch_size=128"});
  EXPECT_EQ(error_of([&] { require_not_set(config, "train.batch_size", "fused mode has no batches"); }),
            "'train.batch_size' (command line) does not apply: fused mode has no batches");
  EXPECT_NO_THROW(require_not_set(config, "train.chunk_rows", "exact mode has no chunks"));
}

TEST(Config, NamesAreCheckedAgainstARegistry) {
  const std::vector<std::string> rules = {"learned", "always", "never"};
  EXPECT_NO_THROW(require_known_name(from_overrides({"gate.rule=never"}), "gate.rule", rules));
  EXPECT_EQ(error_of([&] { require_known_name(from_overrides({"gate.rule=learnt"}), "gate.rule", rules); }),
            "'gate.rule' (command line): no 'learnt'; did you mean 'learned'? Known: learned, always, never");
  EXPECT_THAT(error_of([&] { require_known_name(Config(), "model.name", rules); }),
              HasSubstr("(default): no 'mf'"));
}

TEST(Config, AskingForAnUnknownKeyIsAnError) {
  EXPECT_THAT(error_of([] { (void)Config().is_set("train.bach_size"); }), HasSubstr("train.bach_size"));
}

TEST(Config, EveryKeyIsListedOnceWithTypeDefaultAndDoc) {
  std::set<std::string> names;
  for (const ConfigKeyInfo& key : config_keys()) {
    EXPECT_TRUE(names.insert(key.key).second) << key.key;
    EXPECT_FALSE(key.type.empty() || key.default_value.empty() || key.doc.empty()) << key.key;
    EXPECT_NO_THROW(from_overrides({key.key + "=" + key.default_value}))
        << key.key << "'s default is not allowed";
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"method", "train.chunk_rows", "llm.noise_slice", "eval.topk"}));
}

TEST(Config, TextThatAStoredConfigurationCannotHoldIsRefused) {
  EXPECT_THAT(error_of([] { load_config("", std::vector<std::string>{"data.path=caf\xE9"}); }),
              testing::AllOf(HasSubstr("'data.path=caf\xE9' is not UTF-8"), HasSubstr("symbolic link")));
  // All else comes back as it was.
  for (const std::string path :
       {"caf\xC3\xA9", "a b", "tab\there", "line\nbreak", "\x01\x7F", "#=[\"\\'", ""}) {
    const Config config = load_config("", std::vector<std::string>{"data.path=" + path});
    EXPECT_EQ(parse_config(to_toml(config), "stored").data.path, path);
  }
}

TEST(Config, DropoutLeavesSomethingToKeep) {
  EXPECT_THAT(error_of([] { load_config("", std::vector<std::string>{"model.dropout=0.999999"}); }),
              HasSubstr("in [0, 0.9999]"));
  EXPECT_EQ(load_config("", std::vector<std::string>{"model.dropout=0.9999"}).model.dropout, 0.9999);
}

}  // namespace
}  // namespace sllmr
