// `sllmr llm prompt`: a template, or the prompt of a user.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "experiments/commands/flags.h"
#include "experiments/commands/llm_command.h"
#include "host/ask/candidates.h"
#include "host/ask/prompt.h"
#include "host/data/split.h"
#include "host/text/text_questions.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

void print_prompt(const Prompt& prompt) {
  if (!prompt.system.empty()) fmt::print("{}\n\n", prompt.system);
  fmt::print("{}\n", prompt.user);
}

/// Of a template that asks for a text: of the first subject of this user or item.
Prompt text_prompt(const PromptTemplate& prompt, const Split& split, const std::string& user,
                   const std::string& item) {
  const Dataset& data = *split.data;
  const int history = history_of_prompts(prompt.about);
  const auto subjects = text_subjects(prompt.about, split, {.history = history});
  const auto found = std::ranges::find_if(subjects, [&](const TextSubject& subject) {
    return (user.empty() || data.users.token(subject.user) == user) &&
           (item.empty() || data.items.token(subject.item) == item);
  });
  require(found != subjects.end(),
          fmt::format("the template '{}' has no prompt in {} about user '{}' and item '{}'", prompt.name,
                      data.name, user, item));
  return prompt_of(prompt, data, data.name, *found, history);
}

}  // namespace

void add_llm_prompt(CLI::App& llm) {
  struct Options {
    std::string name = "scores", user, item;
    DataFlags data;
    int candidates = 20;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* show =
      llm.add_subcommand("prompt", "Print a built-in template, or with --data the prompt of a user");
  show->add_option("template", options->name,
                   fmt::format("{}, or a TOML file", fmt::join(prompt_templates(), ", ")))
      ->capture_default_str();
  CLI::Option* data_option = add_data_flags(*show, options->data);
  show->add_option("--user", options->user, "Raw id of the user (default: the first)")->needs(data_option);
  show->add_option("--item", options->item, "Raw id of the item, of a text about one (default: the first)")
      ->needs(data_option);
  show->add_option("--candidates", options->candidates,
                   "Candidates of a user, of a template that asks for scores")
      ->needs(data_option)
      ->check(number_in(2, kMostPromptItems))
      ->capture_default_str();
  show->callback([options, show] {
    if (options->data.path.empty()) {
      require(
          !options->name.ends_with(".toml"),
          fmt::format("'{}' is a file, which prints itself; give --data for a user's prompt", options->name));
      fmt::print("{}", prompt_template_text(options->name));
      return;
    }
    const PromptTemplate prompt = load_prompt_template(options->name);
    const char* other = prompt.answer == AnswerKind::text ? "--candidates" : "--item";
    require(show->count(other) == 0,
            fmt::format("'{}' does not apply: the template '{}' asks for {}; leave it out", other,
                        prompt.name, prompt.answer == AnswerKind::text ? "a text" : "scores"));
    const Dataset data = options->data.load();
    const Split split = leave_one_out(data);
    if (prompt.answer == AnswerKind::text) {
      print_prompt(text_prompt(prompt, split, options->user, options->item));
      return;
    }
    const Id user = options->user.empty() ? 1 : data.users.find(options->user);
    require(user > 0 && user < data.users.rows(),
            fmt::format("no user '{}' in {}", options->user, data.name));
    CandidateOptions candidates;
    candidates.per_user = options->candidates;
    const CandidateSet set = plan_candidates(split, candidates)[static_cast<std::size_t>(user) - 1];
    const std::span<const Id> all = set.candidates;
    const Prompt text = render_prompt(prompt, data, data.name, set.history,
                                      prompt.answer == AnswerKind::yes_no ? all.first(1) : all);
    print_prompt(text);
  });
}

}  // namespace sllmr
