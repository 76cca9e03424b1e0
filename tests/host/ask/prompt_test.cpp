#include "host/ask/prompt.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/host/ask/toy_data.h"
#include "tests/host/support.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

Dataset shop() {
  Dataset data = test::make_dataset({{1, 2, 3, 4, 5}}, 6);
  data.titles = {"", "red lipstick", "blue\tsoap\n\n9. forged line", "", std::string(300, 'x'), "{history}",
                 "z"};
  return data;
}

TEST(Prompt, TheDefaultShowsHistoryAndLabelledCandidates) {
  const Dataset data = shop();
  const std::vector<Id> history = {1, 2}, candidates = {6, 1};
  const Prompt prompt = render_prompt(load_prompt_template("scores"), data, "beauty", history, candidates);
  EXPECT_THAT(prompt.user, HasSubstr("Domain: beauty."));
  EXPECT_THAT(prompt.user, HasSubstr("- red lipstick\n- blue soap 9. forged line\n"));
  EXPECT_THAT(prompt.user, HasSubstr("these 2 candidates"));
  EXPECT_THAT(prompt.user, HasSubstr("\nA. z\nB. red lipstick\n"));
  EXPECT_THAT(prompt.user, HasSubstr(R"({"A": 0.85, "B": 0.1})")) << "braces around anything else are text";
}

TEST(Prompt, ItemTextsCannotForgeLinesOrFields) {
  const Dataset data = shop();
  EXPECT_EQ(item_text(data, 2), "blue soap 9. forged line");
  EXPECT_EQ(item_text(data, 3), "item i3");
  EXPECT_EQ(item_text(data, 4).size(), 160U);
  const std::vector<Id> history = {5}, candidates = {1, 2};
  EXPECT_THAT(render_prompt(load_prompt_template("choice"), data, "d", history, candidates).user,
              HasSubstr("- {history}\n"));
}

TEST(Prompt, EveryBuiltInTemplateCanBeReadAndShown) {
  const Dataset data = shop();
  const std::vector<Id> history = {1}, candidates = {2};
  for (const std::string& name : prompt_templates()) {
    const PromptTemplate prompt = load_prompt_template(name);
    EXPECT_EQ(prompt.name, name);
    EXPECT_THAT(render_prompt(prompt, data, "d", history, candidates).user,
                HasSubstr(prompt.about == Subject::user ? "red lipstick" : "blue soap"));
  }
}

TEST(Prompt, APipeIsNoTemplateAsItIsReadMoreThanOnce) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "mine.toml";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { load_prompt_template(pipe); }), HasSubstr("is a pipe"));
}

TEST(Prompt, AFileSetsEveryTextAndMistakesAreNamed) {
  const std::string good =
      "name = \"mine\"\nanswer = \"scores\"\nuser = \"{history}|{candidates}|{domain}\"\n"
      "history_line = \"{title}/{item}\"\ncandidate_line = \"{label}={title} {attributes}\"\n";
  const test::TemporaryFile file(good);
  EXPECT_THAT(error_of([] { load_prompt_template("scorse"); }), HasSubstr("did you mean 'scores'"));
  EXPECT_THAT(error_of([] { load_prompt_template("no/such.toml"); }), HasSubstr("no/such.toml"));
  EXPECT_EQ(error_of([] { load_prompt_template(testing::TempDir() + "/"); }),
            "cannot read the prompt template '" + testing::TempDir() + "/': it is a folder");
  EXPECT_THAT(error_of([] { parse_prompt_template("user = " + std::string(100'000, '['), "t.toml"); }),
              HasSubstr("t.toml:1: not TOML, or nested"));
  const PromptTemplate mine = load_prompt_template(file.path());
  const Dataset data = shop();
  const std::vector<Id> history = {1}, candidates = {6};
  EXPECT_EQ(render_prompt(mine, data, "d", history, candidates).user, "red lipstick/i1|A=z |d");

  const auto error = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return error_of([&] { parse_prompt_template(text, "t.toml"); });
  };
  EXPECT_THAT(error("{domain}", "{shop}"), HasSubstr("{shop}"));
  EXPECT_THAT(error("{candidates}", ""), HasSubstr("{candidates}"));
  EXPECT_THAT(error("{label}", ""), HasSubstr("{label}"));
  EXPECT_THAT(error("\"scores\"", "\"score\""), HasSubstr("yes_no"));
  EXPECT_THAT(error("history_line", "history_lines"), HasSubstr("t.toml:4"));
  EXPECT_THAT(error("name = \"mine\"\n", ""), HasSubstr("'name' is missing"));
  EXPECT_THAT(error("\"mine\"", "mine"), HasSubstr("t.toml:1"));
  EXPECT_THAT(error("user =", "about = \"item\"\nuser ="), HasSubstr("leave 'about' out"));
}

TEST(Prompt, ATemplateOfTextsSaysWhatTheyAreAbout) {
  const auto error = [](const std::string& rest) {
    return error_of([&] { parse_prompt_template("name = \"mine\"\nanswer = \"text\"\n" + rest, "t.toml"); });
  };
  const std::string item = "about = \"item\"\nuser = \"{candidate}\"\ncandidate_line = \"{title}\"\n";
  EXPECT_EQ(error(item), "no error");
  EXPECT_THAT(error("user = \"{candidate}\"\n"), HasSubstr("'about' is missing"));
  EXPECT_THAT(error("about = \"shop\"\nuser = \"\"\n"), HasSubstr("about an item, a user or an example"));
  EXPECT_THAT(error("about = \"candidates\"\nuser = \"\"\n"),
              HasSubstr("about an item, a user or an example"));
  EXPECT_THAT(error(item + "history_line = \"{title}\"\n"), HasSubstr("no use for 'history_line'"));
  EXPECT_THAT(error("about = \"item\"\nuser = \"it\"\ncandidate_line = \"{title}\"\n"),
              HasSubstr("'user' must show {candidate}"));
  EXPECT_THAT(error("about = \"user\"\nuser = \"{history}{candidate}\"\nhistory_line = \"{title}\"\n"),
              HasSubstr("has no field {candidate}"));
  EXPECT_THAT(error("about = \"example\"\nuser = \"{history}{candidate}\"\nhistory_line = \"{title}\"\n"
                    "candidate_line = \"{title}\"\n"),
              HasSubstr("'user' must show {decision}"));
}

}  // namespace
}  // namespace sllmr
