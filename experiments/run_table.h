// From a plan of runs to the table of their results.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/results/result_table.h"
#include "host/config/config.h"

namespace sllmr {

/// A run of the cell (row, column).
struct PlannedRun {
  std::size_t row, column;
  Config config;
};

inline constexpr const char* kWholeTable = "1/1";

/// Which runs a process takes first of those that it shares with `of` - 1 others: number `part`, and every
/// `of`-th after it.
struct Shard {
  int part = 1, of = 1;

  /// Of "2/3". Throws Error for anything else.
  static Shard parse(const std::string& text);
};

struct RunPlan {
  ResultTable table;                       // without runs
  std::vector<PlannedRun> runs;            // by row, column and seed
  std::vector<std::string> summary_paths;  // of summary_numbers(), what the table shows beside figures_of()
  std::string out;                         // folder of the run folders and of results.json
  std::vector<std::string> inputs;         // files that the command reads
  bool force = false;                      // replace a results.json of other content
  Shard shard;
};

/// What any run of the plan has a figure for.
std::vector<FigureName> figure_names(std::span<const PlannedRun> runs);

/// The table shows the figure that a word names, too. Throws Error "<what>: ... did you mean ..." for a word
/// that names no figure of these runs, and for a figure that it shows already.
void show_figure(ResultTable& table, const std::string& word, std::span<const FigureName> known,
                 std::string_view what);

/// Makes the plan's runs, or reuses those that are finished, and calls `after` with each. Processes may share
/// a folder: each run is made by whoever claims it first, those of the own shard before others', and what a
/// process leaves when it ends is free again; returns when all are finished. results.json holds at any moment
/// all that are finished, also after an error or Ctrl-C. A run that fails keeps no other from being made;
/// then throws Error. Throws as check_runs() does before anything is trained, also where results.json is not
/// to be written over, and Interrupted after Ctrl-C.
ResultTable run_table(const RunPlan& plan, const std::function<void(const RunResult&)>& after);

}  // namespace sllmr
