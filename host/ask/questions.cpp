#include "host/ask/questions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "host/ask/answer_cache.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr std::int64_t kFirstCheck = 20;  // answers before the share of bad ones means anything
constexpr std::size_t kExamples = 3;

}  // namespace

Questions::Questions(const ScorerOptions& options, const Dataset& data)
    : options_(options),
      prompt_(load_prompt_template(options.prompt)),
      domain_(options.domain.empty() ? data.name : options.domain),
      server_(server_name(options)) {}

void Questions::set_prompt(Question& question, const Prompt& prompt, int sample) const {
  const std::string& model = options_.chat.model;
  question.body = chat_body(options_.chat, prompt_.answer, prompt);
  question.prompt_bytes = static_cast<std::int64_t>(prompt.system.size() + prompt.user.size());
  // The body holds model, parameters and prompt.
  question.id = sample == 0
                    ? answer_key({model, prompt_.name, question.body})
                    : answer_key({model, prompt_.name, question.body, fmt::format("sample {}", sample)});
  question.key = answer_key({server_, question.id});
}

void Tally::answer(const Question& question, std::int64_t, const ChatAnswer& answer, const ReadAnswer& read) {
  const AnswerKind kind = questions_.prompt().answer;
  // An answer of one token is always cut off.
  summary.cut_off += answer.ending == Ending::cut_off && is_of_many_tokens(kind);
  summary.filtered += answer.ending == Ending::filtered;
  summary.refused += answer.refused;
  ++summary.answers;
  if (!read.usable()) bad(question, why_unusable(kind, answer, read));
}

void Tally::failure(const Question& question, const std::string& reason) {
  ++summary.answers;
  ++summary.failed;
  bad(question, reason);
}

void Tally::bad(const Question& question, const std::string& what) {
  ++summary.bad;
  if (summary.examples.size() >= kExamples) return;
  summary.examples.push_back(fmt::format("{}: {}", questions_.subject(question), what));
}

void Tally::check_bad_share(bool all) const {
  if (summary.answers == 0 || (!all && summary.answers < kFirstCheck)) return;
  const double share = static_cast<double>(summary.bad) / static_cast<double>(summary.answers);
  const double limit = questions_.options().max_bad_share;
  if (share <= limit) return;
  throw Error(
      fmt::format("{} of {} answers are bad, more than the share {} that --max-bad allows. The first: {}",
                  summary.bad, summary.answers, limit, fmt::join(summary.examples, " | ")));
}

}  // namespace sllmr
