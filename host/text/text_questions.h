// From what is to be written about to prompts and from answers to texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/ask/questions.h"
#include "host/text/written_texts.h"

namespace sllmr {

/// How many interactions prompts about it show where nobody says: of a user as many as a cold row has seen at
/// most, so that every warm row comes after the text; of an example as many as a row's features; of an item
/// 0.
int history_of_prompts(Subject about);
/// The prompt about a subject: see TextQuestions.
Prompt prompt_of(const PromptTemplate& prompt, const Dataset& data, const std::string& domain,
                 const TextSubject& subject, int history);

/// `samples` prompts a subject, one after another.
class TextQuestions final : public Questions {
 public:
  /// `history`: the last interactions before an example's position that its prompt shows; a user's shows all
  /// of TextSubject::position. Keeps references to options and data. Throws Error for a template that asks
  /// for scores.
  TextQuestions(const ScorerOptions& options, const Dataset& data, std::vector<TextSubject> subjects,
                int history, int samples = 1);

  std::int64_t count() const override { return std::ssize(subjects_) * samples_; }
  Question at(std::int64_t number) const override;
  double expected_answer_tokens(const Question& question) const override;
  std::string subject(const Question& question) const override;
  /// Of question `number`.
  const TextSubject& subject_of(std::int64_t number) const {
    return subjects_[static_cast<std::size_t>(number / samples_)];
  }

 private:
  const Dataset& data_;
  std::vector<TextSubject> subjects_;
  int history_, samples_;
};

/// Keeps the usable answers.
class TextTally final : public Tally {
 public:
  explicit TextTally(const TextQuestions& questions);

  void answer(const Question& question, std::int64_t number, const ChatAnswer& answer,
              const ReadAnswer& read) override;
  /// All texts, in the order of the questions; fills the rest of the summary.
  WrittenTexts finish();

 private:
  const TextQuestions& text_questions_;
  std::vector<std::string> texts_;  // by question; empty: none
};

}  // namespace sllmr
