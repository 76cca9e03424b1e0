// From candidate sets to prompts and from answers back to scores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/ask/scorer.h"

namespace sllmr {

/// One prompt.
struct Question {
  std::size_t set = 0;             // index of the candidate set
  std::vector<std::size_t> order;  // by position in the prompt: index of the candidate in the set
  std::string body;                // of the request
  std::string id;                  // of model, template, parameters and prompt
  std::string key;                 // in the answer cache: of server and id
  std::int64_t prompt_bytes = 0;
};

/// The prompts of a job, made one at a time. A question depends on data, options and its number only.
class Questions {
 public:
  /// Throws Error for options that do not fit the template: permutations of yes_no prompts, more than 26
  /// candidates for choice.
  explicit Questions(const ScoreJob& job);

  std::int64_t count() const { return first_.back(); }
  Question at(std::int64_t number) const;
  /// Tokens that an answer is expected to have.
  double expected_answer_tokens(const Question& question) const;
  const PromptTemplate& prompt() const { return prompt_; }
  const std::string& server() const { return server_; }
  ReadAnswer read(const Question& question, const ChatAnswer& answer) const {
    return read_answer(prompt_.answer, answer, question.order.size());
  }
  const ScoreJob& job() const { return job_; }

 private:
  const ScoreJob& job_;
  PromptTemplate prompt_;
  std::string domain_, server_;
  std::vector<std::int64_t> first_;  // by set: number of its first question; one more at the end
};

/// Collects answers in any order, and turns them into scores that do not depend on the order.
class Tally {
 public:
  explicit Tally(const Questions& questions);

  /// `read` is what questions.read() says; what is not usable() is bad, and what could be read of it counts.
  void answer(const Question& question, std::int64_t number, const ChatAnswer& answer,
              const ReadAnswer& read);
  void failure(const Question& question, const std::string& reason);
  /// Throws Error with the first examples when the share of bad answers is above the limit; before 20 answers
  /// only where `all` says that there are no more.
  void check_bad_share(bool all) const;

  ScoreSummary summary;

  /// Scores of all candidates; fills the rest of the summary.
  std::vector<LlmScore> finish();

 private:
  void bad(const Question& question, const std::string& what);

  const Questions& questions_;
  std::vector<std::size_t> first_;  // by question: index of its first value
  std::vector<float> values_;       // by question and position; NaN where nothing was read
};

}  // namespace sllmr
