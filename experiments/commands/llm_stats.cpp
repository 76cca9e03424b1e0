// `sllmr llm stats`: what a cache holds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "experiments/commands/llm_command.h"
#include "experiments/report/text.h"
#include "host/ask/answer_cache.h"

namespace sllmr {

void add_llm_stats(CLI::App& llm) {
  const auto path = std::make_shared<std::string>();
  CLI::App* stats =
      llm.add_subcommand("stats", "What a cache holds: answers, tokens and seconds by model and template");
  stats->add_option("cache", *path, "Answer cache")->required();
  stats->callback([path] {
    require_cache(*path);
    AnswerCache cache(*path);
    std::vector<std::vector<std::string>> rows = {
        {"model, template", "answers", "tokens in", "tokens out", "seconds each"}};
    for (const auto& [who, sums] : cache.sums()) {
      rows.push_back({fmt::format("{}, {}", who.first, who.second), fmt::format("{}", sums.answers),
                      fmt::format("{}", sums.tokens_in), fmt::format("{}", sums.tokens_out),
                      fmt::format("{:.3f}", sums.seconds / static_cast<double>(sums.answers))});
    }
    fmt::print("{}", aligned(rows));
  });
}

}  // namespace sllmr
