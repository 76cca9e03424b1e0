#include "host/text/text_questions.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "host/ask/score_questions.h"
#include "tests/host/support.h"
#include "tests/host/text/shelf.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

ScorerOptions asking(const std::string& prompt) {
  ScorerOptions options;
  options.prompt = prompt;
  options.chat.model = "m";
  return options;
}

std::string prompt_in(const Question& question) {
  return nlohmann::json::parse(question.body)["messages"].back()["content"].get<std::string>();
}

TEST(TextQuestions, ShowWhatTheSubjectMayKnow) {
  const Dataset data = test::shelf(test::cosmetics());
  const auto prompt = [&](const char* name, const TextSubject& subject, int history) {
    const ScorerOptions options = asking(name);
    return prompt_in(TextQuestions(options, data, {subject}, history).at(0));
  };
  EXPECT_THAT(prompt("kar_item", {.item = 4}, 0),
              AllOf(HasSubstr("face cream for the night"), Not(HasSubstr("shampoo"))));
  EXPECT_THAT(prompt("kar_user", {.user = 1, .position = 3}, 3),
              AllOf(HasSubstr("- red nail polish\n- Blue nail-polish\n- nail file, glass\n"),
                    Not(HasSubstr("face cream"))));
  EXPECT_THAT(
      prompt("llmcf", {1, 5, 4, 1}, 2),
      AllOf(HasSubstr("- nail file, glass\n- face cream for the night\n"), HasSubstr("buys this"),
            HasSubstr("day cream for the face"), Not(HasSubstr("polish")), Not(HasSubstr("shampoo"))));
  EXPECT_THAT(prompt("llmcf", {1, 8, 4, 0}, 2), HasSubstr("does not buy this product: glass hair pin"));
}

TEST(TextQuestions, SamplesAreQuestionsOfTheirOwnAndTheFirstIsTheOnlyOne) {
  const Dataset data = test::shelf(test::cosmetics());
  const ScorerOptions options = asking("llmcf");
  const std::vector<TextSubject> subjects = {{1, 5, 4, 1}, {1, 8, 4, 0}};
  const TextQuestions one(options, data, subjects, 20), three(options, data, subjects, 20, 3);
  ASSERT_EQ(three.count(), 6);
  std::set<std::string> keys;
  for (std::int64_t k = 0; k < 6; ++k) keys.insert(three.at(k).key);
  EXPECT_EQ(keys.size(), 6U);
  EXPECT_EQ(three.at(3).key, one.at(1).key) << "what was paid for one sample serves for three";
  EXPECT_EQ(three.at(3).body, three.at(5).body);
}

TEST(TextQuestions, KeepTextsWithoutThoughtsAndCountTheRest) {
  const Dataset data = test::shelf(test::cosmetics());
  const ScorerOptions options = asking("kar_item");
  const TextQuestions questions(options, data,
                                {{.item = 1}, {.item = 2}, {.item = 3}, {.item = 4}, {.item = 5}}, 0);
  TextTally tally(questions);
  ChatAnswer good, shortest, refused, thought, filtered;
  good.text = "<think>what is it?</think>\n A red nail polish. \n";
  good.ending = Ending::cut_off;
  shortest.text = "polish";
  refused.text = "I cannot tell you about it";
  refused.refused = true;
  thought.text = "<think>a thought that never ends";
  filtered.text = "a text that breaks off";
  filtered.ending = Ending::filtered;
  const ChatAnswer answers[] = {good, shortest, refused, thought, filtered};
  for (std::int64_t k = 4; k >= 0; --k) {
    const Question question = questions.at(k);
    tally.answer(question, k, answers[k], questions.read(question, answers[k]));
  }
  EXPECT_EQ(tally.summary.bad, 4);
  EXPECT_EQ(tally.summary.cut_off, 1);
  EXPECT_EQ(tally.summary.refused, 1);
  EXPECT_THAT(tally.summary.examples.front(), HasSubstr("item i5: no text of 10 bytes or more"));
  const WrittenTexts written = tally.finish();
  ASSERT_EQ(written.texts.size(), 1U);
  EXPECT_EQ(written.texts[0].text, "A red nail polish.");
  EXPECT_EQ(written.texts[0].subject.item, 1);
}

TEST(TextQuestions, TemplatesOfScoresAndOfTextsAreNotTakenForEachOther) {
  const Dataset data = test::shelf(test::cosmetics());
  const ScorerOptions scores = asking("scores"), texts = asking("kar_item");
  EXPECT_THAT(error_of([&] { TextQuestions(scores, data, {{.item = 1}}, 0); }),
              HasSubstr("see sllmr llm score"));
  const Split split = leave_one_out(data);
  const std::vector<CandidateSet> sets;
  const ScoreJob job{split, sets, texts};
  EXPECT_THAT(error_of([&] { ScoreQuestions{job}; }), HasSubstr("see sllmr llm ask"));
}

}  // namespace
}  // namespace sllmr
