// `sllmr llm prompt`: a template, or the prompt of a user.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "experiments/commands/flags.h"
#include "experiments/commands/llm_command.h"
#include "host/ask/candidates.h"
#include "host/ask/prompt.h"
#include "host/data/split.h"
#include "kernels/exec/error.h"

namespace sllmr {

void add_llm_prompt(CLI::App& llm) {
  struct Options {
    std::string name = "scores", user;
    DataFlags data;
    int candidates = 20;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* show =
      llm.add_subcommand("prompt", "Print a built-in template, or with --data the prompt of a user");
  show->add_option("template", options->name, "scores, choice, yes_no, or a TOML file")
      ->capture_default_str();
  CLI::Option* data_option = add_data_flags(*show, options->data);
  show->add_option("--user", options->user, "Raw id of the user (default: the first)")->needs(data_option);
  show->add_option("--candidates", options->candidates, "Candidates of a user")
      ->check(number_in(2, kMostPromptItems))
      ->capture_default_str();
  show->callback([options] {
    if (options->data.path.empty()) {
      require(
          !options->name.ends_with(".toml"),
          fmt::format("'{}' is a file, which prints itself; give --data for a user's prompt", options->name));
      fmt::print("{}", prompt_template_text(options->name));
      return;
    }
    const PromptTemplate prompt = load_prompt_template(options->name);
    const Dataset data = options->data.load();
    const Split split = leave_one_out(data);
    const Id user = options->user.empty() ? 1 : data.users.find(options->user);
    require(user > 0 && user < data.users.rows(),
            fmt::format("no user '{}' in {}", options->user, data.name));
    CandidateOptions candidates;
    candidates.per_user = options->candidates;
    const CandidateSet set = plan_candidates(split, candidates)[static_cast<std::size_t>(user) - 1];
    const std::span<const Id> all = set.candidates;
    const Prompt text = render_prompt(prompt, data, data.name, set.history,
                                      prompt.answer == AnswerKind::yes_no ? all.first(1) : all);
    if (!text.system.empty()) fmt::print("{}\n\n", text.system);
    fmt::print("{}\n", text.user);
  });
}

}  // namespace sllmr
