// Score tables that the data have left behind: what training does about them.
#include <gmock/gmock.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/data/import.h"
#include "host/data/synthetic.h"
#include "host/runs/training.h"
#include "host/scores/table_origin.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class StaleScores : public testing::Test {
 protected:
  void SetUp() override {
    SyntheticOptions options;
    options.users = 200;
    options.items = 100;
    options.topics = 5;
    save_recbole(synthetic_dataset(options), folder_.path());
    world_ = load_world(config({}));
    table_ = load_scores(config({"llm.scorer=lexical"}), world_.split).table;
    write_scores(path(), table_, *world_.data, false);
  }
  std::string path() const { return folder_ / "scores.tsv"; }
  Config config(std::vector<std::string> overrides) const {
    overrides.insert(overrides.begin(), "data.path=" + (folder_ / "synthetic"));
    return load_config("", overrides);
  }
  Config reading(std::vector<std::string> overrides = {}) const {
    overrides.insert(overrides.begin(), {"llm.scorer=file", "llm.scores=" + path()});
    return config(overrides);
  }
  /// Says that the table was made of these data, or of others, `days` ago.
  void write_origin_of(bool same_data, int days) const {
    TableOrigin origin;
    origin.scorer = "lexical";
    origin.data_hash = world_.data->hash + (same_data ? 0 : 1);
    origin.created = static_cast<std::int64_t>(std::time(nullptr)) - std::int64_t{86400} * days;
    write_origin(path(), origin);
  }
  std::string warning_of(const Config& config) const {
    testing::internal::CaptureStderr();
    load_scores(config, world_.split);
    return testing::internal::GetCapturedStderr();
  }

  TemporaryFolder folder_;
  World world_;
  ScoreTable table_;
};

TEST_F(StaleScores, FreshOnesPassInSilence) {
  EXPECT_THAT(warning_of(reading()), IsEmpty());
  write_origin_of(true, 3);
  EXPECT_THAT(warning_of(reading({"llm.stale=refuse", "llm.max_age_days=4"})), IsEmpty());
}

TEST_F(StaleScores, OtherDataAreAWarningOrAnError) {
  write_origin_of(false, 3);
  EXPECT_THAT(warning_of(reading()), HasSubstr("made from other data"));
  EXPECT_THAT(error_of([&] { load_scores(reading({"llm.stale=refuse"}), world_.split); }),
              HasSubstr("llm.stale=warn"));
}

TEST_F(StaleScores, SoAreOtherTexts) {
  const auto write_texts = [&](std::uint64_t hash) {
    TableOrigin origin;
    origin.data_hash = world_.data->hash;
    origin.created = static_cast<std::int64_t>(std::time(nullptr));
    origin.text_hash = hash;
    write_origin(path(), origin);
    EXPECT_EQ(read_origin(path())->text_hash, hash);
  };
  write_texts(world_.data->text_hash);
  EXPECT_THAT(warning_of(reading()), IsEmpty());
  write_texts(world_.data->text_hash + 1);
  EXPECT_THAT(warning_of(reading()), HasSubstr("texts have changed"));
  EXPECT_THAT(error_of([&] { load_scores(reading({"llm.stale=refuse"}), world_.split); }),
              HasSubstr("llm.stale=warn"));
}

TEST_F(StaleScores, SoIsAge) {
  EXPECT_THAT(error_of([&] { load_scores(reading({"llm.max_age_days=1"}), world_.split); }),
              HasSubstr("origin"));
  write_origin_of(true, 3);
  EXPECT_THAT(warning_of(reading({"llm.max_age_days=2"})), HasSubstr("3.0 days old"));
}

TEST_F(StaleScores, ATableOfTheFutureIsNotFresh) {
  write_origin_of(true, -3);
  EXPECT_THAT(warning_of(reading()), HasSubstr("dated 3.0 days in the future"));
  EXPECT_THAT(error_of([&] { load_scores(reading({"llm.stale=refuse"}), world_.split); }),
              HasSubstr("future"));
  EXPECT_THAT(error_of([&] {
                load_scores(reading({"llm.stale=refuse", "llm.max_age_days=7"}), world_.split);
              }),
              HasSubstr("future"));
  write_origin_of(true, 0);
  EXPECT_THAT(warning_of(reading({"llm.max_age_days=7"})), IsEmpty());
}

TEST_F(StaleScores, AnOriginThatIsNoneIsNamed) {
  const std::string whole =
      R"({"scorer":"s","model":"m","prompt":"p","data":{"name":"d","hash":"0f"},"created":1,"run":1})";
  std::ofstream(path() + ".json") << whole;
  EXPECT_EQ(read_origin(path())->data_hash, 15U);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    text.replace(text.find(from), from.size(), to);
    std::ofstream(path() + ".json") << text;
    return error_of([&] { read_origin(path()); });
  };
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"run\":1", "\"run\":" + deep},
                                                        {"\"created\":1", "\"created\":" + deep},
                                                        {"\"created\":1", "\"created\":1e300"},
                                                        {"\"created\":1", "\"created\":-1"},
                                                        {"\"0f\"", "\"-1\""},
                                                        {"\"0f\"", "\"xyz\""},
                                                        {"\"0f\"", "\"\""},
                                                        {"}", ""}}) {
    EXPECT_THAT(with(from, to), HasSubstr(path() + ".json' does not say")) << to.substr(0, 40);
  }
  std::filesystem::remove(path() + ".json");
  std::filesystem::create_directory(path() + ".json");
  EXPECT_THAT(error_of([&] { read_origin(path()); }), HasSubstr("it is a folder"));
}

TEST_F(StaleScores, UsersWhoHaveInteractedSinceCanBeDropped) {
  // The last item of user 1 becomes another: the stored probe is then no longer the last training item.
  Dataset moved = *world_.data;
  Id stale = 0;
  for (Id user = 1; stale == 0; ++user) {
    if (table_.probe[static_cast<std::size_t>(user)] >= 0 && moved.user_history(user).size() >= 6)
      stale = user;
  }
  const auto first = static_cast<std::size_t>(moved.history_offsets[static_cast<std::size_t>(stale)]);
  std::swap(moved.history[first], moved.history[first + moved.user_history(stale).size() - 3]);
  const Split split = leave_one_out(moved);
  EXPECT_THAT(load_scores(reading(), split).table.items_of(stale),
              testing::SizeIs(table_.items_of(stale).size()));
  EXPECT_THAT(load_scores(reading({"llm.stale_weight=0"}), split).table.items_of(stale), IsEmpty());
  EXPECT_THAT(error_of([&] {
                load_scores(config({"llm.scorer=lexical", "llm.stale_weight=0"}), split);
              }),
              HasSubstr("llm.stale_weight"));
}

}  // namespace
}  // namespace sllmr
