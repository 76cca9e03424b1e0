#include "host/text/text_questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "kernels/exec/error.h"

namespace sllmr {

int history_of_prompts(Subject about) {
  constexpr int kOfFeatures = 20;  // data.max_history's default
  return about == Subject::user ? kColdRowHistory : about == Subject::example ? kOfFeatures : 0;
}

Prompt prompt_of(const PromptTemplate& prompt, const Dataset& data, const std::string& domain,
                 const TextSubject& subject, int history) {
  std::span<const Id> shown;
  if (subject.user != 0) {
    shown = data.user_history(subject.user).first(static_cast<std::size_t>(subject.position));
    if (prompt.about == Subject::example)
      shown = shown.last(std::min(shown.size(), static_cast<std::size_t>(history)));
  }
  const std::span<const Id> item(&subject.item, subject.item != 0 ? 1 : 0);
  return render_prompt(prompt, data, domain, shown, item, subject.label != 0);
}

TextQuestions::TextQuestions(const ScorerOptions& options, const Dataset& data,
                             std::vector<TextSubject> subjects, int history, int samples)
    : Questions(options, data),
      data_(data),
      subjects_(std::move(subjects)),
      history_(history),
      samples_(samples) {
  require(prompt().answer == AnswerKind::text,
          fmt::format("the template '{}' asks for scores; see sllmr llm score", prompt().name));
}

Question TextQuestions::at(std::int64_t number) const {
  Question question;
  question.set = static_cast<std::size_t>(number / samples_);
  set_prompt(question, prompt_of(prompt(), data_, domain(), subject_of(number), history_),
             static_cast<int>(number % samples_));
  return question;
}

double TextQuestions::expected_answer_tokens(const Question&) const {
  constexpr double kTokens = 256;  // of a paragraph or two
  return options().chat.max_tokens > 0 ? options().chat.max_tokens : kTokens;
}

std::string TextQuestions::subject(const Question& question) const {
  return name_of(subjects_[question.set], data_);
}

TextTally::TextTally(const TextQuestions& questions)
    : Tally(questions), text_questions_(questions), texts_(static_cast<std::size_t>(questions.count())) {}

void TextTally::answer(const Question& question, std::int64_t number, const ChatAnswer& answer,
                       const ReadAnswer& read) {
  if (read.usable()) texts_[static_cast<std::size_t>(number)] = written_text(answer);
  Tally::answer(question, number, answer, read);
}

WrittenTexts TextTally::finish() {
  WrittenTexts written;
  written.about = questions().prompt().about;
  for (std::size_t k = 0; k < texts_.size(); ++k) {
    if (texts_[k].empty()) continue;
    written.texts.push_back({text_questions_.subject_of(static_cast<std::int64_t>(k)), std::move(texts_[k])});
  }
  return written;
}

}  // namespace sllmr
