#include "experiments/run_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <set>
#include <system_error>
#include <thread>

#include "experiments/results/results_file.h"
#include "experiments/runs.h"
#include "host/base/file_lock.h"
#include "host/base/progress.h"
#include "host/base/say.h"
#include "host/base/stopwatch.h"
#include "host/base/text_file.h"
#include "host/guidance/registry.h"
#include "host/runs/run_folder.h"
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
    for (const std::string& path : plan_.summary_paths) {
      run.figures.push_back({{path}, number_at(summary, path)});
    }
    runs_[k] = std::move(run);
  }
  bool has(std::size_t k) const { return runs_[k].has_value(); }
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(runs_, [](const auto& run) { return run.has_value(); }));
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

/// The runs of a plan in the order in which a process takes them: its own, then the others' from the end,
/// where these come last.
std::vector<std::size_t> order_of(std::size_t runs, const Shard& shard) {
  std::vector<std::size_t> own, others;
  for (std::size_t k = 0; k < runs; ++k) {
    const bool mine = k % static_cast<std::size_t>(shard.of) == static_cast<std::size_t>(shard.part - 1);
    (mine ? own : others).push_back(k);
  }
  own.insert(own.end(), others.rbegin(), others.rend());
  return own;
}

/// What several processes do to one table.
class SharedTable {
 public:
  SharedTable(const RunPlan& plan, const std::function<void(const RunResult&)>& after)
      : plan_(plan), after_(after), path_(plan.out + "/" + kResultsFile), finished_(plan) {
    std::vector<std::string> inputs = plan.inputs;
    for (const PlannedRun& run : plan.runs) {
      configs_.push_back(run.config);
      inputs.insert(inputs.end(), {run.config.data.path, run.config.llm.scores, run.config.llm.vectors});
      const std::vector<std::string> written = written_files_of(run.config);
      inputs.insert(inputs.end(), written.begin(), written.end());
    }
    check_results_file(path_, inputs, plan.force);
    checked_ = check_runs(configs_);
    for (std::size_t k = 0; k < checked_.size(); ++k) {
      if (!checked_[k].stored.is_null()) finished_.add(k, checked_[k].stored);
    }
    for (std::size_t k = 0; k < checked_.size(); ++k) {
      if (finished_.has(k)) after_(finished_.at(k));
    }
    write();
  }

  ResultTable run() {
    const std::vector<std::size_t> order = order_of(configs_.size(), plan_.shard);
    while (true) {
      bool took = false;
      for (const std::size_t k : order) took = (is_open(k) && take(k)) || took;
      if (std::ranges::none_of(order, [this](std::size_t k) { return is_open(k); })) break;
      if (!took) wait();
    }
    // What others finished last may have been missing from what they wrote.
    write();
    // Claims of processes that were killed.
    for (std::size_t k = 0; k < configs_.size(); ++k) {
      if (finished_.has(k)) remove_claim(k);
    }
    if (!failures_.empty()) {
      throw Error(
          fmt::format("{} of {} runs failed, as told above; the others are finished, and the same command "
                      "tries these again",
                      failures_.size(), configs_.size()));
    }
    return finished_.table();
  }

 private:
  bool is_open(std::size_t k) const { return !finished_.has(k) && !failures_.contains(k); }
  /// Beside the run folders, which tables may share.
  std::filesystem::path claim_of(std::size_t k) const {
    const std::filesystem::path run(configs_[k].run_dir);
    return run.parent_path() / ".claims" / run.filename();
  }
  /// Where a process tells others that the run failed.
  std::filesystem::path failure_of(std::size_t k) const { return claim_of(k).string() + ".failed"; }
  void remove_claim(std::size_t k) const {
    std::error_code not_there;
    std::filesystem::remove(claim_of(k), not_there);
    std::filesystem::remove(failure_of(k), not_there);
    std::filesystem::remove(claim_of(k).parent_path(), not_there);  // if it is empty
  }

  /// Makes run k, or finds it made, or failed. False: another process is at it.
  bool take(std::size_t k) {
    nlohmann::json summary = finished_summary(configs_[k], checked_[k].inputs);
    if (summary.is_null()) {
      const std::optional<FileLock> claim = FileLock::try_take(claim_of(k).string());
      if (!claim) return false;
      waiting_.finish();
      if (failed_elsewhere(k)) return true;
      const ProgressTitle title(title_of(k));
      const Stopwatch watch;
      try {
        summary = run_once(configs_[k], checked_[k].inputs);
      } catch (const FolderBusy&) {  // a process that makes no table
        return false;
      } catch (const Error& error) {  // may be this run's alone
        const std::string message = fmt::format("{}: {}", name_of(k), error.what());
        std::ofstream(failure_of(k)) << message;  // where it cannot be written others try it too
        fail(k, message);
        return true;
      }
      seconds_ += watch.seconds();
      ++made_;
      remove_claim(k);
    }
    const bool stopped = interrupted();  // when all was done
    finish(k, summary);
    write();
    if (stopped) throw Interrupted();
    return true;
  }
  void finish(std::size_t k, const nlohmann::json& summary) {
    finished_.add(k, summary);
    failures_.erase(k);  // another process has had more luck
    after_(finished_.at(k));
  }
  void fail(std::size_t k, const std::string& message) {
    failures_.insert(k);
    say("error: " + message);
  }
  /// Has the run failed in another process since this one began?
  bool failed_elsewhere(std::size_t k) {
    std::error_code none;
    const auto when = std::filesystem::last_write_time(failure_of(k), none);
    if (none || when < began_) return false;
    fail(k, read_text_file(failure_of(k).string(), "the note of a failed run"));
    return true;
  }
  /// "none, beauty, seed 2".
  std::string name_of(std::size_t k) const {
    const PlannedRun& run = plan_.runs[k];
    return fmt::format("{}, {}, seed {}", plan_.table.rows[run.row], plan_.table.columns[run.column],
                       run.config.seed);
  }
  /// "run 3/24 (1 elsewhere), 1:30 left", which stands before the run's own progress.
  std::string title_of(std::size_t k) const {
    std::size_t elsewhere = 0, left = 0;
    for (std::size_t other = 0; other < configs_.size(); ++other) {
      if (!is_open(other)) continue;
      ++left;
      elsewhere += other != k && FileLock::is_taken(claim_of(other).string());
    }
    std::string title = fmt::format("run {}/{}", finished_.count() + failures_.size() + 1, configs_.size());
    if (!failures_.empty()) title += fmt::format(", {} failed", failures_.size());
    if (elsewhere > 0) title += fmt::format(" ({} elsewhere)", elsewhere);
    if (made_ > 0) {
      title += fmt::format(", {} left", clock_time(seconds_ / made_ * static_cast<double>(left) /
                                                   static_cast<double>(elsewhere + 1)));
    }
    return title;
  }
  /// Others' work is looked at again in a while.
  void wait() {
    const InterruptGuard guard;
    for (int k = 0; k < 10; ++k) {
      waiting_.update(static_cast<std::int64_t>(finished_.count()));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      throw_if_interrupted();
    }
  }
  /// Whole even where Ctrl-C comes meanwhile; throws Interrupted where it did.
  void write() {
    const InterruptGuard guard;
    const InterruptDelay whole;
    // What others have finished goes in too: whoever writes last leaves nothing out.
    for (std::size_t k = 0; k < configs_.size(); ++k) {
      if (finished_.has(k)) continue;
      const nlohmann::json summary = finished_summary(configs_[k], checked_[k].inputs);
      if (summary.is_null()) continue;
      finish(k, summary);
    }
    write_results(path_, finished_.table());
    if (interrupted()) throw Interrupted();
  }

  const RunPlan& plan_;
  const std::function<void(const RunResult&)>& after_;
  std::string path_;
  FinishedRuns finished_;
  std::vector<Config> configs_;
  std::vector<CheckedRun> checked_;
  Progress waiting_{"waiting for other processes' runs", static_cast<std::int64_t>(plan_.runs.size()), ""};
  std::set<std::size_t> failures_;
  const std::filesystem::file_time_type began_ = std::filesystem::file_time_type::clock::now();
  int made_ = 0;        // by this process
  double seconds_ = 0;  // that took
};

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

void show_figure(ResultTable& table, const std::string& word, std::span<const FigureName> known,
                 std::string_view what) {
  const std::optional<FigureName> found = find_figure(word, known);
  if (!found) {
    throw Error(fmt::format(
        "{}: these runs have no figure '{}'; did you mean '{}'? (a metric of eval.protocol, with the "
        "cut-offs of eval.topk, and .all, .cold or .tail, or what guidance tells)",
        what, word, nearest_figure(word, known)));
  }
  const auto same = std::ranges::find(table.shown, *found, &ShownFigure::name);
  require(same == table.shown.end(), fmt::format("{}: '{}' and '{}' are one figure", what,
                                                 same == table.shown.end() ? "" : same->title, word));
  table.shown.push_back({*found, word});
}

Shard Shard::parse(const std::string& text) {
  static const std::regex form("([0-9]{1,6})/([0-9]{1,6})");
  std::smatch parts;
  const bool matches = std::regex_match(text, parts, form);
  const Shard shard = matches ? Shard{std::stoi(parts[1]), std::stoi(parts[2])} : Shard{0, 0};
  require(shard.part >= 1 && shard.part <= shard.of,
          fmt::format("--shard: '{}' is not I/N with 1 <= I <= N, as in 2/3", text));
  return shard;
}

ResultTable run_table(const RunPlan& plan, const std::function<void(const RunResult&)>& after) {
  return SharedTable(plan, after).run();
}

}  // namespace sllmr
