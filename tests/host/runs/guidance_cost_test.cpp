#include "host/runs/guidance_cost.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "host/scores/table_origin.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class GuidanceCost : public testing::Test {
 protected:
  /// A file and the note of a run with this summary.
  void write(const std::string& path, const json& run) const {
    std::ofstream(path) << "whatever it is";
    write_origin(path, {"openai", "m", "scores", "toy", 77, 1000, run});
  }
  static json asked() {
    return {{"answers", 20}, {"cached", 3},  {"tokens_in", 4000},     {"tokens_out", 50},
            {"money", 0.25}, {"seconds", 1}, {"answer_seconds", 12.5}};
  }
  json of_scores(const json& summary) const {
    write(scores_, {{"summary", summary}});
    return guidance_cost(config_, {.scores = true, .vectors = false});
  }
  json with(const char* name, const json& value) const {
    json summary = asked();
    summary[name] = value;
    return of_scores(summary);
  }
  static json unknown() {
    return {{"tokens_in", nullptr}, {"tokens_out", nullptr}, {"money", nullptr}, {"seconds", nullptr}};
  }

  TemporaryFolder folder_;
  std::string scores_ = folder_ / "s.tsv", vectors_ = folder_ / "v.safetensors";
  Config config_ = load_config("", std::vector<std::string>{"llm.scorer=file", "llm.scores=" + scores_,
                                                            "llm.encoder=file", "llm.vectors=" + vectors_});
};

TEST_F(GuidanceCost, IsWhatTheNoteOfTheFileTells) {
  const json whole = {{"tokens_in", 4000}, {"tokens_out", 50}, {"money", 0.25}, {"seconds", 12.5}};
  EXPECT_EQ(of_scores(asked()), whole);
  EXPECT_TRUE(of_scores(asked())["tokens_in"].is_number_integer());
  write(vectors_, {{"summary", asked()}, {"width", 3}});
  EXPECT_EQ(guidance_cost(config_, {.scores = false, .vectors = true}), whole);
  const json both = guidance_cost(config_, {.scores = true, .vectors = true});
  EXPECT_EQ(both, json({{"tokens_in", 8000}, {"tokens_out", 100}, {"money", 0.5}, {"seconds", 25.0}}));
}

TEST_F(GuidanceCost, OfVectorsOfWrittenTextsIsThatOfTheWritingToo) {
  const auto cost = [&](const json& run) {
    write(vectors_, run);
    return guidance_cost(config_, {.scores = false, .vectors = true});
  };
  const json texts = {{"summary", asked()}};
  EXPECT_EQ(cost({{"summary", asked()}, {"texts", texts}})["tokens_in"], 8000);
  EXPECT_EQ(cost({{"summary", asked()}, {"texts", texts}})["money"], 0.5);
  EXPECT_EQ(cost({{"texts", texts}})["tokens_in"], 4000) << "the encoder asked nobody";
  json unpriced = asked();
  unpriced["money"] = 0;
  EXPECT_EQ(cost({{"summary", asked()}, {"texts", {{"summary", unpriced}}}})["money"], nullptr);
}

TEST_F(GuidanceCost, OfWhatIsNotKnownIsNullAndNeverZero) {
  EXPECT_EQ(with("answers", 0), unknown()) << "nobody was asked";
  EXPECT_EQ(with("money", 0)["money"], nullptr) << "no price was given";
  EXPECT_EQ(with("money", 0)["tokens_in"], 4000);
  EXPECT_EQ(with("tokens_in", 0)["tokens_in"], nullptr) << "the server did not tell";
  EXPECT_EQ(with("tokens_in", 0)["tokens_out"], nullptr);
  EXPECT_EQ(with("tokens_out", 0)["tokens_out"], 0) << "vectors have none";
  EXPECT_EQ(with("answer_seconds", 0)["seconds"], nullptr) << "of batches";
  EXPECT_EQ(with("answer_seconds", "long")["seconds"], nullptr);
  EXPECT_EQ(of_scores(1), unknown());
  of_scores(asked());
  EXPECT_EQ(guidance_cost(config_, {.scores = true, .vectors = true}), unknown()) << "of a part is of none";
}

TEST_F(GuidanceCost, IsNotThatOfAnotherFile) {
  of_scores(asked());
  std::ofstream(scores_) << "another";
  const GuidanceReads scores{.scores = true, .vectors = false};
  EXPECT_EQ(guidance_cost(config_, scores), unknown());
  std::ofstream(origin_path(scores_)) << "{}";
  EXPECT_THAT(error_of([&] { guidance_cost(config_, scores); }), HasSubstr(origin_path(scores_)));
  std::filesystem::remove(origin_path(scores_));
  EXPECT_EQ(guidance_cost(config_, scores), unknown());
}

TEST_F(GuidanceCost, IsOfFilesThatAreRead) {
  of_scores(asked());
  EXPECT_EQ(guidance_cost(config_, {.scores = false, .vectors = false}), unknown());
  const Config lexical = load_config("", std::vector<std::string>{"llm.scorer=lexical"});
  EXPECT_EQ(guidance_cost(lexical, {.scores = true, .vectors = false}), unknown());
}

}  // namespace
}  // namespace sllmr
