// What a chat server is asked, prompt by prompt, and what is counted of its answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/ask/scorer.h"

namespace sllmr {

/// One prompt.
struct Question {
  std::size_t set = 0;             // index of the candidate set, or of what else it is about
  std::vector<std::size_t> order;  // by position in the prompt: index of the candidate in the set
  std::string body;                // of the request
  std::string id;                  // of model, template, parameters and prompt
  std::string key;                 // in the answer cache: of server and id
  std::int64_t prompt_bytes = 0;
};

/// Prompts of one template, made one at a time. A question depends on data, options and its number only.
class Questions {
 public:
  virtual ~Questions() = default;

  virtual std::int64_t count() const = 0;
  virtual Question at(std::int64_t number) const = 0;
  /// Tokens that an answer is expected to have.
  virtual double expected_answer_tokens(const Question& question) const = 0;
  /// Whom it is about, for messages: "user u7".
  virtual std::string subject(const Question& question) const = 0;

  const ScorerOptions& options() const { return options_; }
  const PromptTemplate& prompt() const { return prompt_; }
  const std::string& server() const { return server_; }
  ReadAnswer read(const Question& question, const ChatAnswer& answer) const {
    return read_answer(prompt_.answer, answer, question.order.size());
  }

 protected:
  /// Loads the template. Keeps a reference to the options.
  Questions(const ScorerOptions& options, const Dataset& data);

  const std::string& domain() const { return domain_; }
  /// Sets all but `set` and `order`. `sample` tells questions of the same prompt apart, from 0.
  void set_prompt(Question& question, const Prompt& prompt, int sample = 0) const;

 private:
  const ScorerOptions& options_;
  PromptTemplate prompt_;
  std::string domain_, server_;
};

/// Collects answers in any order.
class Tally {
 public:
  explicit Tally(const Questions& questions) : questions_(questions) {}
  virtual ~Tally() = default;

  /// `read` is what questions.read() says; what is not usable() is bad.
  virtual void answer(const Question& question, std::int64_t number, const ChatAnswer& answer,
                      const ReadAnswer& read);
  void failure(const Question& question, const std::string& reason);
  /// Throws Error with the first examples when the share of bad answers is above the limit; before 20 answers
  /// only where `all` says that there are no more.
  void check_bad_share(bool all) const;

  ScoreSummary summary;

 protected:
  const Questions& questions() const { return questions_; }

 private:
  void bad(const Question& question, const std::string& what);

  const Questions& questions_;
};

}  // namespace sllmr
