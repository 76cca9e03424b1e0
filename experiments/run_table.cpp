#include "experiments/run_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "experiments/results/results_file.h"
#include "experiments/runs.h"
#include "host/guidance/registry.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

/// The finished runs of a plan.
class FinishedRuns {
 public:
  explicit FinishedRuns(const RunPlan& plan) : plan_(plan), runs_(plan.runs.size()) {}

  void add(std::size_t k, const nlohmann::json& summary) {
    const PlannedRun& planned = plan_.runs[k];
    RunResult run = run_result(summary, planned.config);
    run.row = planned.row;
    run.column = planned.column;
    // One of summary_numbers(); those of another method's runs may lack it.
    const std::string& path = plan_.summary_path;
    if (!path.empty()) run.figures.push_back({{path}, number_at(summary, path)});
    runs_[k] = std::move(run);
  }
  /// One that was added.
  const RunResult& at(std::size_t k) const { return runs_[k].value(); }

  ResultTable table() const {
    ResultTable table = plan_.table;
    for (const std::optional<RunResult>& run : runs_) {
      if (run) table.runs.push_back(*run);
    }
    table.complete = table.runs.size() == runs_.size();
    return table;
  }

 private:
  const RunPlan& plan_;
  std::vector<std::optional<RunResult>> runs_;  // by plan.runs
};

/// Whole even where Ctrl-C comes meanwhile; true: it did.
bool write_whole(const std::string& path, const ResultTable& table) {
  const InterruptGuard guard;
  const InterruptDelay whole;
  write_results(path, table);
  return interrupted();
}

}  // namespace

std::vector<FigureName> figure_names(std::span<const PlannedRun> runs) {
  std::vector<FigureName> names;
  for (const PlannedRun& run : runs) {
    for (FigureName& name : figure_names(run.config)) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    }
  }
  return names;
}

FigureName require_figure(std::string_view word, std::span<const FigureName> known, std::string_view what) {
  const std::optional<FigureName> found = find_figure(word, known);
  if (found) return *found;
  throw Error(fmt::format(
      "{}: these runs have no figure '{}'; did you mean '{}'? (a metric of eval.protocol, with the "
      "cut-offs of eval.topk, and .all, .cold or .tail, or what guidance tells)",
      what, word, nearest_figure(word, known)));
}

ResultTable run_table(const RunPlan& plan, const std::function<void(const RunResult&)>& after) {
  const std::string path = plan.out + "/" + kResultsFile;
  std::vector<Config> configs;
  std::vector<std::string> inputs = plan.inputs;
  for (const PlannedRun& run : plan.runs) {
    configs.push_back(run.config);
    inputs.insert(inputs.end(), {run.config.data.path, run.config.llm.scores, run.config.llm.vectors});
    const std::vector<std::string> written = written_files_of(run.config);
    inputs.insert(inputs.end(), written.begin(), written.end());
  }
  check_results_file(path, inputs, plan.force);
  const std::vector<CheckedRun> checked = check_runs(configs);
  FinishedRuns finished(plan);
  for (std::size_t k = 0; k < checked.size(); ++k) {
    if (!checked[k].stored.is_null()) finished.add(k, checked[k].stored);
  }
  if (write_whole(path, finished.table())) throw Interrupted();
  for (std::size_t k = 0; k < checked.size(); ++k) {
    if (!checked[k].stored.is_null()) {
      after(finished.at(k));
      continue;
    }
    const nlohmann::json summary = run_once(configs[k], checked[k].inputs);
    const bool stopped = interrupted();  // when all was done
    finished.add(k, summary);
    after(finished.at(k));
    if (write_whole(path, finished.table()) || stopped) throw Interrupted();
  }
  return finished.table();
}

}  // namespace sllmr
