#include "host/runs/run_inputs.h"

#include <gmock/gmock.h>

#include "models/registry.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

Config config(std::vector<std::string> overrides) {
  overrides.insert(overrides.begin(), "data.path=s");
  return load_config("", overrides);
}

/// What changed_input() says where the stored run had `then`, without the value called `missing`.
std::string change(const Config& run, const RunInputs& then, const RunInputs& now,
                   const std::string& missing = "") {
  auto stored = stored_form(then);
  stored.erase(missing);
  return changed_input(run, now, [&](const std::string& name) {
    return stored.contains(name) ? stored.at(name) : std::string();
  });
}

TEST(RunInputs, OnlyWhatARunReadsCounts) {
  const RunInputs then{1, 2, 3, 4};
  const Config mf = config({"method=none"}), deep = config({"method=none", "model.name=dcnv2"}),
               lexical = config({"method=agreement"}),
               table = config({"method=agreement", "llm.scorer=file", "llm.scores=t.tsv"});
  struct Case {
    RunInputs now;
    const char* says;
    std::vector<const Config*> runs;  // that it is another run for
  };
  const Case cases[] = {{{1, 2, 3, 4}, "", {}},
                        {{9, 2, 3, 4}, "the data at 's'", {&mf, &deep, &lexical, &table}},
                        {{1, 9, 3, 4}, "brands and categories at 's'", {&deep}},
                        {{1, 2, 9, 4}, "texts at 's'", {&lexical}},
                        {{1, 2, 3, 9}, "scores of 't.tsv'", {&table}}};
  for (const Case& each : cases) {
    for (const Config* run : {&mf, &deep, &lexical, &table}) {
      const bool differs = std::ranges::find(each.runs, run) != each.runs.end();
      EXPECT_THAT(change(*run, then, each.now),
                  differs ? HasSubstr(each.says) : testing::Matcher<std::string>(IsEmpty()))
          << each.says;
    }
  }
  EXPECT_THAT(change(mf, then, {9, 2, 3, 4}),
              AllOf(HasSubstr("0000000000000001 then"), HasSubstr("0000000000000009 now")));
}

TEST(RunInputs, WhatAnEarlierVersionDidNotKeepCountsWhereItIsRead) {
  const RunInputs same{1, 2, 3, 4};
  EXPECT_THAT(change(config({"method=none"}), same, same, "numbers_version"),
              HasSubstr("kept no numbers_version"));
  EXPECT_THAT(change(config({"method=none"}), same, same, "feature_hash"), IsEmpty());
  EXPECT_THAT(change(config({"method=none", "model.name=din"}), same, same, "feature_hash"),
              HasSubstr("kept no feature_hash"));
}

TEST(RunInputs, ThreadsAndDeviceCountWhereTheFiguresDependOnThem) {
  const auto same = [](std::vector<std::string> a, std::vector<std::string> b) {
    return first_difference(decisive(config(std::move(a))), decisive(config(std::move(b)))).empty();
  };
  EXPECT_TRUE(same({"device=cpu", "run_dir=a"}, {"device=cpu", "run_dir=b"}));
  EXPECT_TRUE(
      same({"device=cpu", "threads=1", "train.mode=exact"}, {"device=cpu", "threads=2", "train.mode=exact"}));
  EXPECT_FALSE(same({"device=cpu", "threads=1"}, {"device=cpu", "threads=2"}));
  EXPECT_TRUE(same({"device=cuda", "threads=1"}, {"device=cuda", "threads=2"}));
  EXPECT_FALSE(same({"device=cpu", "train.mode=exact"}, {"device=cuda", "train.mode=exact"}));
  const char* here = parse_device("auto") == Device::cpu ? "device=cpu" : "device=cuda";
  EXPECT_TRUE(same({"device=auto"}, {here}));
}

}  // namespace
}  // namespace sllmr
