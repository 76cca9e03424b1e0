// What the subcommands of `sllmr llm` share. Each is one file, llm_NAME.cpp, and its line in llm.cpp.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "experiments/commands/import_options.h"
#include "host/ask/cost.h"
#include "host/ask/scorer.h"
#include "host/data/import.h"
#include "host/scores/score_table.h"
#include "kernels/exec/error.h"

namespace sllmr {

void add_llm_score(CLI::App& llm);
void add_llm_ask(CLI::App& llm);
void add_llm_report(CLI::App& llm);
void add_llm_prompt(CLI::App& llm);
void add_llm_import(CLI::App& llm);
void add_llm_export(CLI::App& llm);
void add_llm_stats(CLI::App& llm);
void add_llm_embed(CLI::App& llm);

inline constexpr int kMostPromptItems = 100'000;
inline constexpr double kMostPaid = 1e15;  // tokens, prompts, money: beyond any bill, and exact as a double

/// Of commands that read data.
struct DataFlags {
  std::string path;
  ImportOptions import;

  Dataset load() const { return load_dataset(path, import); }
};
/// Adds --data and the flags of import_options.h. Returns --data, which is not required.
CLI::Option* add_data_flags(CLI::App& command, DataFlags& data);

/// Of commands that write a score table.
struct TableFlags {
  std::string out, format = "tsv";
  bool force = false;
};
/// Adds --out, --format and --force. Returns --out, which is not required.
CLI::Option* add_table_flags(CLI::App& command, TableFlags& table);

void add_force_flag(CLI::App& command, bool& force);
void add_min_known_flag(CLI::App& command, double& min_known);

/// Of commands that ask a server: its flags but --cache, and those of its price but --price-out.
void add_server_flags(CLI::App& command, ScorerOptions& server, std::string& key_variable);
/// Of commands that ask a chat server: what else goes into the request, and what an answer is worth.
void add_chat_flags(CLI::App& command, ScorerOptions& server, std::vector<std::string>& parameters);
/// --param's NAME=JSON as name to JSON. Throws Error for something else.
std::map<std::string, std::string> read_parameters(const std::vector<std::string>& parameters);
/// The same as a note keeps them: equal where they are, and without what may be a secret. Texts, lists and
/// objects are kept as a hash.
nlohmann::json kept_parameters(const std::map<std::string, std::string>& parameters);
/// Finds the key in the environment; says so on stderr where that is worth a note.
void take_key(ScorerOptions& server, const std::string& key_variable);
/// Prints what is to be paid; `unit` is what is asked, a plural. Says on stderr where the cache holds answers
/// that are not used.
void print_forecast(const Forecast& forecast, const std::string& unit, const std::string& cache);

/// For the note beside what was paid.
nlohmann::json forecast_json(const Forecast& forecast);
/// Prints answers, faults and bill of a chat server.
void print_bill(const ScoreSummary& summary);

/// Of commands that ask for all or nothing.
struct WholeBudget {
  double tokens = 0, money = 0;  // 0: no limit
};
void add_budget_flags(CLI::App& command, WholeBudget& budget);
/// A budget that does not do for every one of `what` buys nothing: Error, so that nothing is asked.
void require_budget(const WholeBudget& budget, const Forecast& forecast, const std::string& what);

/// Throws Error for a flag that was given and that others of `all` (scorers, encoders) alone read. `what` is
/// the flag that chooses one.
template <class Info>
void require_applicable(const CLI::App& command, const char* what, const std::vector<Info>& all,
                        const Info& chosen) {
  for (const Info& other : all) {
    for (const std::string& flag : other.flags) {
      if (command.count(flag) == 0 || std::ranges::find(chosen.flags, flag) != chosen.flags.end()) continue;
      throw Error(fmt::format("'{}' does not apply: {} {} has no use for it ({} has); leave it out", flag,
                              what, chosen.name, other.name));
    }
  }
}

/// Looks at the file that has a note beside it (host/scores/table_origin.h), and at the note, before either
/// is written: see check_output().
void check_noted_output(const std::string& path, const std::vector<std::string>& inputs, bool force);

/// The files of the data and `more`: what a command reads and must not write over.
std::vector<std::string> inputs_of(const Dataset& data, std::initializer_list<std::string> more);

/// Writes the table to table.out and prints what is in it.
void write_and_summarise(const ScoreTable& scores, const Split& split, const TableFlags& table);

/// Unix time.
std::int64_t now();

/// An AnswerCache's file. Throws Error where there is none.
void require_cache(const std::string& path);

}  // namespace sllmr
