#include "host/train/unused_keys.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "host/data/import.h"
#include "host/guidance/registry.h"
#include "host/train/trainer.h"
#include "tests/host/support.h"
#include "tests/host/text/written.h"
#include "tests/host/train/bench.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// Another value of every key of [llm] and [gate], and of the methods' own, that training can begin with.
const std::vector<std::string>& other_values() {
  static const std::vector<std::string> all = {"llm.candidates=12",
                                               "llm.prompt_history=3",
                                               "llm.lambda=0.7",
                                               "llm.margin=0.9",
                                               "llm.penalty=pointwise",
                                               "llm.pairs=largest",
                                               "llm.largest_pairs=3",
                                               "llm.pair_rate=0.25",
                                               "llm.max_pairs_per_batch=5",
                                               "llm.noise=0.5",
                                               "llm.noise_slice=warm",
                                               "llm.noise_kind=flat",
                                               "llm.encoder=file",
                                               "llm.vectors=v.safetensors",
                                               "llm.vector_width=64",
                                               "llm.allow_leak=true",
                                               "gate.rule=mlp",
                                               "gate.objective=hinge",
                                               "gate.sides=min",
                                               "gate.probes=matched",
                                               "gate.mean_alpha=0.2",
                                               "gate.uncertainty=entropy",
                                               "gate.lr=0.9",
                                               "gate.probe_rate=0.5",
                                               "gate.price=0.4",
                                               "gate.budget_weight=7",
                                               "gate.budget_target=0.9",
                                               "gate.skip_below=0.9",
                                               "pointwise.loss=bce",
                                               "pointwise.calibrate=platt",
                                               "pointwise.gated=true",
                                               "kd.weight=0.9",
                                               "kd.temperature=2",
                                               "kd.teacher_scale=probability",
                                               "kd.missing=half",
                                               "kd.teacher=vectors",
                                               "weights.strength=0.3",
                                               "similar.weight=0.3",
                                               "similar.neighbours=3",
                                               "similar.gate=tail",
                                               "rlmrec.weight=0.2",
                                               "rlmrec.tau=0.5",
                                               "rlmrec.users=batch",
                                               "kar.user_vectors=u.safetensors",
                                               "model.item_bias=true",
                                               "train.block_rows=4096",
                                               "train.negative_power=0.5",
                                               "llmcf.chains=c.safetensors"};
  return all;
}

std::string key_of(const std::string& word) {
  return word.substr(0, word.find('='));
}

class UnusedKeys : public testing::Test {
 protected:
  void SetUp() override {
    save_recbole(synthetic_dataset(small_world(300, 200)), folder_.path());
    const Dataset data = load_dataset(folder_ / "synthetic");
    const Split split = leave_one_out(data);
    const WrittenTexts texts = test::made_up_texts(Subject::example, split, {});
    save_written_vectors(folder_ / "chains", test::made_up_vectors(texts, data, LlmConfig().vector_width),
                         data);
  }

  std::vector<std::string> deep(const std::string& method) const {
    std::vector<std::string> words =
        small_ctr_words(folder_ / "synthetic", method, {"train.l2=1e-4", "train.epochs=1"});
    if (method == "rlmrec") words.emplace_back("model.name=mf");  // it refuses the others
    if (method == "llmcf") words.emplace_back("llmcf.chains=" + (folder_ / "chains"));
    return words;
  }
  std::vector<std::string> fused(const std::string& method) const {
    return {"data.path=" + (folder_ / "synthetic"),
            "device=cpu",
            "threads=1",
            "train.chunk_rows=256",
            "train.epochs=1",
            "method=" + method};
  }
  static bool is_unused(const Config& config, const std::string& key) {
    const std::vector<UnusedKey> unused = unused_keys(config);
    return std::ranges::find(unused, key, &UnusedKey::key) != unused.end();
  }
  /// Its checkpoint and what it tells; `words` do not count as set.
  std::string trained(const std::vector<std::string>& words) const {
    Config config = load_config("", words);
    config.origins.clear();
    Bench bench(config);
    const std::string report = to_json(bench.train()).dump();
    return report + bench.checkpoint(folder_ / "checkpoint");
  }

  TemporaryFolder folder_;
};

TEST_F(UnusedKeys, ChangeNothing) {
  for (const std::string& method : method_names()) {
    for (std::vector<std::string> words : {deep(method), fused(method)}) {
      const Config config = load_config("", words);
      if (words == fused(method) && !find_guidance(load_config("", deep(method))).trains_mf) continue;
      const std::string before = trained(words);
      for (const std::string& word : other_values()) {
        if (is_unused(config, key_of(word))) words.push_back(word);
      }
      EXPECT_TRUE(trained(words) == before) << method;
    }
  }
}

/// The other way round for the gate's: what is no unused key is heard.
TEST_F(UnusedKeys, OthersChangeSomething) {
  for (const std::string method : {"agreement", "budget", "normalised", "pointwise"}) {
    std::vector<std::string> words = deep(method);
    if (method == "budget") words.emplace_back("gate.rule=mlp");
    if (method == "pointwise") words.emplace_back("pointwise.gated=true");
    const std::string before = trained(words);
    const Config config = load_config("", words);
    for (const std::string& word : other_values()) {
      if (!word.starts_with("gate.") || is_unused(config, key_of(word))) continue;
      if (config.is_set(key_of(word)) || key_of(word) == "gate.objective") continue;
      std::vector<std::string> more = words;
      more.push_back(word);
      EXPECT_FALSE(trained(more) == before) << method << " " << word;
    }
  }
}

TEST_F(UnusedKeys, EveryKeyOfGuidanceIsSomebodys) {
  std::set<std::string> nobodys;
  for (const ConfigKeyInfo& key : config_keys()) nobodys.insert(key.key);
  for (const std::string& method : method_names()) {
    for (std::vector<std::string> words : {deep(method), fused(method)}) {
      words.insert(words.end(), {"llm.noise=0.1", "llm.pairs=largest", "pointwise.gated=true"});
      for (const char* scorer : {"lexical", "file"}) {
        const char* encoder = std::string_view(scorer) == "file" ? "file" : "tfidf";
        for (const char* uncertainty : {"confidence", "mc_dropout"}) {
          words.insert(words.end(),
                       {std::string("llm.scorer=") + scorer, std::string("llm.encoder=") + encoder,
                        std::string("gate.uncertainty=") + uncertainty});
          const Config config = load_config("", words);
          if (error_of([&] { find_guidance(config); }) != "no error") continue;
          const std::vector<UnusedKey> unused = unused_keys(config);
          std::erase_if(nobodys, [&](const std::string& key) {
            return std::ranges::find(unused, key, &UnusedKey::key) == unused.end();
          });
        }
      }
    }
  }
  std::erase_if(nobodys, [](const std::string& key) {
    return !key.starts_with("llm.") && !key.starts_with("gate.") &&
           std::ranges::find(part_keys(), key, &PartKey::name) == part_keys().end();
  });
  EXPECT_THAT(nobodys, testing::IsEmpty());
}

TEST_F(UnusedKeys, AreRefusedOnTheCommandLineAndLeftInARecipe) {
  const struct {
    std::string method, word, reason;
  } cases[] = {{"none", "llm.lambda=0.5", "method=none has no use for it"},
               {"none", "llm.noise=0.5", "method=none has no use for it"},
               {"none", "kd.weight=0.5", "which is of method=kd"},
               {"kd", "llm.margin=0.5", "method=kd has no use for it"},
               {"kd", "gate.lr=0.5", "method=kd has no use for it"},
               {"kd", "llm.encoder=tfidf", "method=kd reads no text vectors"},
               {"pointwise", "gate.lr=0.5", "pointwise.gated is false"},
               {"pointwise", "llm.margin=0.5", "has no margin"},
               {"global", "gate.rule=mlp", "method=global names the rule"},
               {"global", "gate.lr=0.5", "the rule always has no parameters to learn"},
               {"global", "gate.uncertainty=entropy", "does not look at the uncertainty"},
               {"agreement", "gate.objective=hinge", "method=agreement names the objective"},
               {"hinge", "gate.price=0.2", "see gate.objective=agreement"},
               {"hinge", "gate.probe_rate=0.2", "learns nothing from probes"},
               {"agreement", "gate.budget_weight=2", "see gate.objective=budget"}};
  const std::string recipe = folder_ / "recipe.toml";
  for (const auto& each : cases) {
    std::vector<std::string> words = deep(each.method);
    const std::string key = key_of(each.word), value = each.word.substr(key.size() + 1);
    const auto dot = key.find('.');
    std::ofstream(recipe) << "[" << key.substr(0, dot) << "]\n"
                          << key.substr(dot + 1) << " = "
                          << (std::isalpha(value[0]) != 0 ? "'" + value + "'" : value) << "\n";
    EXPECT_EQ(error_of([&] { check_training(load_config(recipe, words)); }), "no error") << each.word;
    words.push_back(each.word);
    EXPECT_THAT(
        error_of([&] { check_training(load_config("", words)); }),
        testing::AllOf(HasSubstr("'" + key + "' (command line) does not apply: "), HasSubstr(each.reason)));
  }
  for (const char* word : {"kd.missing=half", "kd.teacher_scale=logits", "llm.noise=0.5"}) {
    std::vector<std::string> words = deep("kd");
    words.insert(words.end(), {"kd.teacher=vectors", word});
    EXPECT_THAT(error_of([&] { check_training(load_config("", words)); }),
                HasSubstr("'" + key_of(word) + "' (command line) does not apply: "));
  }
  EXPECT_THAT(error_of([&] {
                std::vector<std::string> words = fused("agreement");
                words.emplace_back("gate.skip_below=0.5");
                check_training(load_config("", words));
              }),
              HasSubstr("kernels of its own"));
}

}  // namespace
}  // namespace sllmr
