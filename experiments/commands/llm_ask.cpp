// `sllmr llm ask`: texts that a language model writes about items, users or training rows.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/commands/flags.h"
#include "experiments/commands/llm_command.h"
#include "host/ask/answer_cache.h"
#include "host/ask/ask.h"
#include "host/ask/cost.h"
#include "host/config/config.h"
#include "host/scores/table_origin.h"
#include "host/text/text_questions.h"
#include "host/text/written_texts.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

using nlohmann::json;

struct AskFlags {
  DataFlags data;
  ScorerOptions asking;
  SubjectOptions subjects;
  WholeBudget budget;
  int samples = 1;
  std::vector<std::string> parameters;
  std::string out, key_variable;
  bool force = false, forecast_only = false;
};

/// Flags that one kind of template alone has a use for.
struct OwnFlag {
  const char* name;
  std::vector<Subject> of;
};
const std::vector<OwnFlag>& own_flags() {
  static const std::vector<OwnFlag> all = {{"--history", {Subject::user, Subject::example}},
                                           {"--users", {Subject::user}},
                                           {"--share", {Subject::example}},
                                           {"--seed", {Subject::user, Subject::example}},
                                           {"--samples", {Subject::example}}};
  return all;
}

void require_own(const CLI::App& command, const PromptTemplate& prompt) {
  require(prompt.answer == AnswerKind::text,
          fmt::format("the template '{}' asks for scores; see sllmr llm score", prompt.name));
  for (const OwnFlag& flag : own_flags()) {
    const bool applies = std::ranges::find(flag.of, prompt.about) != flag.of.end();
    require(applies || command.count(flag.name) == 0,
            fmt::format("'{}' does not apply: the template '{}' asks for texts about {}s; leave it out",
                        flag.name, prompt.name, name_of(prompt.about)));
  }
}

json note_of(const AskFlags& flags, const TextQuestions& questions, const ScoreSummary& summary,
             const Forecast& foreseen) {
  const ScorerOptions& asking = flags.asking;
  const PromptTemplate& prompt = questions.prompt();
  json settings = {{"about", name_of(prompt.about)},
                   {"history", flags.subjects.history},
                   {"temperature", asking.chat.temperature},
                   {"max_tokens", asking.chat.max_tokens},
                   {"parameters", kept_parameters(asking.chat.extra)},
                   {"domain", asking.domain},
                   {"prices", {{"in", asking.prices.in}, {"out", asking.prices.out}}}};
  if (prompt.about == Subject::user) settings["users"] = flags.subjects.users;
  if (prompt.about == Subject::example) {
    settings["share"] = flags.subjects.share;
    settings["samples"] = flags.samples;
  }
  if (prompt.about != Subject::item) settings["seed"] = flags.subjects.seed;
  return {{"server", questions.server()},
          {"template_hash",
           answer_key({prompt.name, prompt.system, prompt.user, prompt.history_line, prompt.candidate_line})},
          {"settings", settings},
          {"forecast", forecast_json(foreseen)},
          {"summary", summary}};
}

/// Of users' texts: which rows come late enough for them.
void print_reach(const Split& split, const std::vector<TextSubject>& subjects, std::uint64_t seed) {
  std::vector<std::int32_t> known(static_cast<std::size_t>(split.data->users.rows()),
                                  std::numeric_limits<std::int32_t>::max());
  for (const TextSubject& subject : subjects)
    known[static_cast<std::size_t>(subject.user)] = subject.position;
  const std::vector<CtrRow> rows = ctr_train_rows(split, seed);
  const auto reached = std::ranges::count_if(
      rows, [&](const CtrRow& row) { return row.position >= known[static_cast<std::size_t>(row.user)]; });
  fmt::print("{:>12}  of {} training rows (ctr) come after what their user's text knows\n", reached,
             rows.size());
}

void run_llm_ask(AskFlags& flags, const CLI::App& command) {
  ScorerOptions& asking = flags.asking;
  const PromptTemplate prompt = load_prompt_template(asking.prompt);
  require_own(command, prompt);
  require(flags.samples == 1 || asking.chat.temperature > 0,
          "several samples of a prompt need a --temperature above 0, such as 0.6: else all are the same");
  asking.chat.extra = read_parameters(flags.parameters);
  take_key(asking, flags.key_variable);
  if (asking.cache.empty()) asking.cache = flags.out + ".cache";
  if (flags.subjects.history == 0) flags.subjects.history = history_of_prompts(prompt.about);
  asking.progress = true;

  const Dataset data = flags.data.load();
  if (!flags.forecast_only)
    check_noted_output(flags.out, inputs_of(data, {asking.prompt, asking.cache}), flags.force);
  const Split split = leave_one_out(data);
  const std::vector<TextSubject> subjects = text_subjects(prompt.about, split, flags.subjects);
  const TextQuestions questions(asking, data, subjects, flags.subjects.history, flags.samples);
  const Forecast foreseen = forecast(questions);
  print_forecast(foreseen, fmt::format("prompts about {} {}s", subjects.size(), name_of(prompt.about)),
                 asking.cache);
  if (prompt.about == Subject::user) print_reach(split, subjects, flags.subjects.seed);
  if (flags.forecast_only) return;
  require_budget(flags.budget, foreseen, fmt::format("every {} needs its text", name_of(prompt.about)));

  TextTally tally(questions);
  AnswerCache cache(asking.cache);
  if (!ask_all(questions, cache, tally)) {
    fmt::print("stopped; {} answers are in {}, and the same command goes on\n", tally.summary.answers,
               asking.cache);
    throw Interrupted();
  }
  const WrittenTexts written = tally.finish();
  require(!written.texts.empty(), "no answer is a text");
  save_written_texts(flags.out, written, data);
  write_origin(flags.out, {"openai", asking.chat.model, prompt.name, data.name, data.hash, now(),
                           note_of(flags, questions, tally.summary, foreseen), data.text_hash});
  fmt::print("wrote {} ({} texts about {}s of {} by {})\n", flags.out, written.texts.size(),
             name_of(prompt.about), data.name, asking.chat.model);
  print_bill(tally.summary);
}

}  // namespace

void add_llm_ask(CLI::App& llm) {
  const auto flags = std::make_shared<AskFlags>();
  flags->asking.chat.max_tokens = 256;
  std::string names;
  for (const std::string& name : prompt_templates()) {
    const PromptTemplate prompt = load_prompt_template(name);
    if (prompt.answer == AnswerKind::text)
      names += fmt::format("\n{}: of every {}", name, name_of(prompt.about));
  }
  CLI::App* ask = llm.add_subcommand("ask", "Have a language model write texts about items, users or rows");
  add_data_flags(*ask, flags->data)->required();
  ask->add_option("--template", flags->asking.prompt,
                  "What to write: a TOML file (see llm prompt) or" + names)
      ->required();
  ask->add_option("--out", flags->out, "File of texts to write (JSON lines)")->required();
  add_force_flag(*ask, flags->force);
  const auto number = [&](const char* name, auto& value, const char* doc, auto low, auto high) {
    return ask->add_option(name, value, doc)->check(number_in(low, high));
  };
  number("--history", flags->subjects.history,
         "Of a user the first interactions that the text knows (default: 3); of an example the last before "
         "it (default: 20)",
         1, kMostPromptItems);
  number("--users", flags->subjects.users, "Most users, drawn by the seed; 0: all", std::int64_t{0},
         std::numeric_limits<std::int64_t>::max());
  number("--share", flags->subjects.share, "Examples: share of the training rows, llmcf.share of the run",
         1e-6, 1.0)
      ->capture_default_str();
  number("--seed", flags->subjects.seed,
         "Of what is drawn; of examples llmcf.pool_seed of the run, or its seed", std::uint64_t{0},
         static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  number("--samples", flags->samples, "Texts of an example, of which llm embed takes the best", 1, 100)
      ->capture_default_str();
  add_server_flags(*ask, flags->asking, flags->key_variable);
  add_chat_flags(*ask, flags->asking, flags->parameters);
  ask->add_flag("--forecast", flags->forecast_only, "Say what it would cost, and ask nobody")->group("Run");
  add_budget_flags(*ask, flags->budget);
  ask->callback([flags, ask] { run_llm_ask(*flags, *ask); });
}

}  // namespace sllmr
