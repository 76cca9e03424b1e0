// What the subcommands of `sllmr llm` share. Each is one file, llm_NAME.cpp, and its line in llm.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "experiments/commands/import_options.h"
#include "host/data/import.h"
#include "host/scores/score_table.h"

namespace sllmr {

void add_llm_score(CLI::App& llm);
void add_llm_report(CLI::App& llm);
void add_llm_prompt(CLI::App& llm);
void add_llm_import(CLI::App& llm);
void add_llm_export(CLI::App& llm);
void add_llm_stats(CLI::App& llm);

inline constexpr int kMostPromptItems = 100'000;

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

/// The files of the data and `more`: what a command reads and must not write over.
std::vector<std::string> inputs_of(const Dataset& data, std::initializer_list<std::string> more);

/// Writes the table to table.out and prints what is in it.
void write_and_summarise(const ScoreTable& scores, const Split& split, const TableFlags& table);

/// Unix time.
std::int64_t now();

/// An AnswerCache's file. Throws Error where there is none.
void require_cache(const std::string& path);

}  // namespace sllmr
