// `sllmr llm`: making and checking tables of offline LLM scores, texts, and vectors of texts.
#include "experiments/commands/commands.h"

#include <CLI/CLI.hpp>

#include "experiments/commands/llm_command.h"

namespace sllmr {

void add_llm_command(CLI::App& app) {
  CLI::App* llm =
      app.add_subcommand("llm", "Make and check tables of offline LLM scores, texts, and vectors of texts");
  llm->require_subcommand(1);
  add_llm_score(*llm);
  add_llm_ask(*llm);
  add_llm_embed(*llm);
  add_llm_report(*llm);
  add_llm_prompt(*llm);
  add_llm_import(*llm);
  add_llm_export(*llm);
  add_llm_stats(*llm);
}

}  // namespace sllmr
