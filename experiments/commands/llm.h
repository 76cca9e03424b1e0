// `sllmr llm`: making and checking tables of offline LLM scores.
#pragma once

namespace CLI {
class App;
}

namespace sllmr {

/// Registers `llm` with its subcommands on `app`. Their callbacks print to standard output and throw Error.
void add_llm_command(CLI::App& app);

}  // namespace sllmr
