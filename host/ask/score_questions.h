// From candidate sets to prompts and from answers back to scores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/ask/questions.h"
#include "host/ask/scorer.h"

namespace sllmr {

/// The prompts of a job.
class ScoreQuestions final : public Questions {
 public:
  /// Throws Error for options that do not fit the template: permutations of yes_no prompts, more than 26
  /// candidates for choice; and for a template that asks for texts.
  explicit ScoreQuestions(const ScoreJob& job);

  std::int64_t count() const override { return first_.back(); }
  Question at(std::int64_t number) const override;
  double expected_answer_tokens(const Question& question) const override;
  std::string subject(const Question& question) const override;
  const ScoreJob& job() const { return job_; }

 private:
  const ScoreJob& job_;
  std::vector<std::int64_t> first_;  // by set: number of its first question; one more at the end
};

/// Turns answers into scores that do not depend on their order; what could be read of bad ones counts.
class ScoreTally final : public Tally {
 public:
  explicit ScoreTally(const ScoreQuestions& questions);

  void answer(const Question& question, std::int64_t number, const ChatAnswer& answer,
              const ReadAnswer& read) override;
  /// Scores of all candidates; fills the rest of the summary.
  std::vector<LlmScore> finish();

 private:
  const ScoreJob& job_;
  std::vector<std::size_t> first_;  // by question: index of its first value
  std::vector<float> values_;       // by question and position; NaN where nothing was read
};

}  // namespace sllmr
