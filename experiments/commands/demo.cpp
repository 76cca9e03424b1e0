// `sllmr demo`.
#include "experiments/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/commands/flags.h"
#include "experiments/results/plain_text.h"
#include "host/base/atomic_file.h"
#include "host/data/import.h"
#include "host/data/synthetic.h"
#include "host/runs/run_folder.h"
#include "host/runs/training.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

struct DemoOptions {
  std::string data, format = "auto", device = "auto", out = "runs/demo";
  int epochs = 60;
};

/// The least history that leaves at least a fifth of the users cold: data sets without short histories have
/// cold users too, only less cold.
int cold_history_for(const Dataset& data) {
  std::vector<std::int64_t> lengths;
  for (Id user = 1; user < data.users.rows(); ++user) {
    lengths.push_back(static_cast<std::int64_t>(data.user_history(user).size()) - 2);
  }
  std::sort(lengths.begin(), lengths.end());
  return std::max(SliceThresholds{}.cold_history, static_cast<int>(lengths[lengths.size() / 5]) + 1);
}

constexpr const char* kMarker = "made_by_demo";  // in the folders of its runs

/// Removes the run of an earlier demo and marks the folder of the next. Throws Error where a run is somebody
/// else's.
void make_room(const std::string& run_dir) {
  namespace fs = std::filesystem;
  const fs::path marker = fs::path(run_dir) / kMarker;
  if (fs::exists(marker)) {
    RunFolder::remove(run_dir);
  } else {
    for (const std::string& file : run_files(run_dir)) {
      require(!fs::exists(file),
              fmt::format("'{}' is of a run that no demo made: choose another --out", file));
    }
  }
  std::error_code error;
  fs::create_directories(run_dir, error);
  require(!error, fmt::format("cannot create run folder '{}': {}", run_dir, error.message()));
  AtomicFile(marker.string()).commit();
}

void demo(const DemoOptions& options) {
  std::string path = options.data;
  if (path.empty()) {
    path = options.out + "/synthetic";
    const Dataset synthetic = synthetic_dataset({});
    check_recbole_output(synthetic, options.out, false);
    save_recbole(synthetic, options.out);
    fmt::print("data: a built-in cold-start world (no --data given), written to {}.inter\n", path);
  } else {
    fmt::print("data: {}\n", path);
  }
  ImportOptions import;
  import.format = options.format;
  const Dataset data = load_dataset(path, import);
  const int cold_history = cold_history_for(data);
  fmt::print("{} users, {} items, {} interactions; cold: fewer than {} training interactions\n",
             data.users.count(), data.items.count(), data.interactions(), cold_history);
  fmt::print("LLM scores: the 'lexical' scorer, a stand-in (TF-IDF of item texts), no LLM\n\n");

  std::vector<Config> runs;
  for (const char* method : {"none", "global", "agreement"}) {
    const std::vector<std::string> overrides = {fmt::format("method={}", method),
                                                fmt::format("run_dir={}/{}", options.out, method),
                                                "device=" + options.device,
                                                "data.path=" + path,
                                                "data.format=" + options.format,
                                                fmt::format("data.cold_history={}", cold_history),
                                                fmt::format("train.epochs={}", options.epochs)};
    runs.push_back(load_config("", overrides));
  }
  for (const Config& run : runs) make_room(run.run_dir);
  ResultTable table;
  table.title = "Demo";
  table.columns = {path};
  table.shown = auc_by_slice();
  table.shown.push_back({guidance_name({"mean gate", "/mean_alpha"}), "mean gate"});
  for (const Config& run : runs) {
    const nlohmann::json summary = train(run, false);
    if (summary.is_null()) throw Interrupted();
    table.runs.push_back(run_result(summary, run));
    table.runs.back().row = table.rows.size();
    table.rows.push_back(run.method);
  }
  table.complete = true;
  fmt::print("{}\nfull ranking of each user's last item; run folders in {}\n", plain_text(table),
             options.out);
}

}  // namespace

void add_demo_command(CLI::App& app) {
  const auto options = std::make_shared<DemoOptions>();
  CLI::App* command =
      app.add_subcommand("demo", "Train none, global and agreement on one data set and compare them");
  command->add_option("--data", options->data,
                      "File, prefix or folder of a data set; without it, a built-in world");
  command->add_option("--format", options->format, "Format of the data")->capture_default_str();
  command->add_option("--device", options->device, "auto, cpu or cuda")->capture_default_str();
  command->add_option("--epochs", options->epochs, "Epochs of each run")
      ->check(number_in(0, 1'000'000))
      ->capture_default_str();
  command->add_option("--out", options->out, "Folder for the runs; an earlier demo's runs there are replaced")
      ->capture_default_str();
  command->callback([options] { demo(*options); });
}

}  // namespace sllmr
