// Any server that speaks OpenAI's chat completions: hosted ones, vLLM, llama.cpp.
#include "host/ask/answer_cache.h"
#include "host/ask/ask.h"
#include "host/ask/score_questions.h"

namespace sllmr {

ScoreResult score_openai(const ScoreJob& job) {
  const ScoreQuestions questions(job);
  ScoreTally tally(questions);
  AnswerCache cache(job.options.cache);
  ScoreResult result;
  result.interrupted = !ask_all(questions, cache, tally);
  if (!result.interrupted) result.scores = tally.finish();
  result.summary = std::move(tally.summary);
  return result;
}

}  // namespace sllmr
