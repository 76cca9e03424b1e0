#include "host/ask/cost.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "host/ask/ask.h"
#include "host/ask/prompt.h"
#include "host/ask/score_questions.h"
#include "tests/host/ask/toy_data.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

TEST(Cost, OfAJobIsTheSumOverItsPrompts) {
  const Dataset data = test::make_dataset({{1, 2, 3, 4, 5}, {2, 3, 4, 5, 6}}, 6);
  const Split split = leave_one_out(data);
  const std::vector<CandidateSet> sets = {{1, {1, 2}, {3, 6}, 3}, {2, {2, 3}, {4, 1, 5}, 4}};
  ScorerOptions options;
  options.prices = {0.5, 2};
  const std::int64_t prompts_of_template[] = {2, 2, 5};
  const char* const templates[] = {"scores", "choice", "yes_no"};
  for (int k = 0; k < 3; ++k) {
    options.prompt = templates[k];
    const PromptTemplate prompt = load_prompt_template(options.prompt);
    // A token is 4 bytes of text; an answer has 7 tokens a score and 2 around them, or 1.
    double in = 0, out = 0;
    for (const CandidateSet& set : sets) {
      const std::size_t shown = k == 2 ? 1 : set.candidates.size();
      for (std::size_t first = 0; first < set.candidates.size(); first += shown) {
        const Prompt text = render_prompt(prompt, data, data.name, set.history,
                                          std::span(set.candidates).subspan(first, shown));
        in += static_cast<double>(text.system.size() + text.user.size()) / 4;
        out += k == 0 ? 2 + 7 * static_cast<double>(shown) : 1;
      }
    }
    const SetCost cost = expected_cost({split, sets, options});
    EXPECT_EQ(cost.prompts, prompts_of_template[k]) << templates[k];
    EXPECT_NEAR(cost.tokens, in + out, 1e-9) << templates[k];
    EXPECT_NEAR(cost.money, 1e-6 * (0.5 * in + 2 * out), 1e-15) << templates[k];
  }
}

TEST(Cost, AForecastIsThatEstimateUntilTheModelsAnswersTellItsTokens) {
  const TemporaryFolder folder;
  const Dataset data = test::make_dataset({{1, 2, 3, 4, 5}, {2, 3, 4, 5, 6}}, 6);
  const Split split = leave_one_out(data);
  const std::vector<CandidateSet> sets = {{1, {1, 2}, {3, 6}, 3}, {2, {2, 3}, {4, 1, 5}, 4}};
  ScorerOptions options;
  options.prices = {0.5, 2};
  options.cache = folder / "cache";
  const ScoreJob job{split, sets, options};
  const SetCost cost = expected_cost(job);
  const Forecast unknown = forecast(job);
  EXPECT_EQ(unknown.prompts, 2);
  EXPECT_EQ(unknown.cached, 0);
  EXPECT_EQ(unknown.tokens_per_byte, 0.25);
  EXPECT_NEAR(unknown.tokens_in + unknown.tokens_out, cost.tokens, 1e-9);
  EXPECT_NEAR(unknown.money, cost.money, 1e-15);
  EXPECT_TRUE(std::isnan(unknown.seconds));

  const ScoreQuestions questions(job);
  const Question first = questions.at(0);
  ChatAnswer answer;
  answer.text = R"({"A": 0.5, "B": 0.25})";
  answer.tokens_in = first.prompt_bytes / 2;
  AnswerCache cache(options.cache);
  store_answer(questions, first, answer, 3, cache);
  const Forecast known = forecast(job);
  EXPECT_EQ(known.cached, 1);
  const double rate = static_cast<double>(answer.tokens_in) / static_cast<double>(first.prompt_bytes);
  const double tokens_in = rate * static_cast<double>(questions.at(1).prompt_bytes);
  EXPECT_DOUBLE_EQ(known.tokens_per_byte, rate);
  EXPECT_NEAR(known.tokens_in, tokens_in, 1e-9);
  EXPECT_EQ(known.tokens_out, 2 + 7 * 3);
  EXPECT_NEAR(known.money, 1e-6 * (0.5 * tokens_in + 2 * 23), 1e-15);
  EXPECT_EQ(known.seconds, 3.0 / options.http.in_flight);
}

}  // namespace
}  // namespace sllmr
