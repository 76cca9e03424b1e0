#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/bindings.h"
#include "core/data.h"
#include "core/text.h"
#include "core/work.h"
#include "experiments/app.h"
#include "experiments/comparison.h"
#include "experiments/results/markdown.h"
#include "host/base/json_text.h"
#include "host/runs/training.h"
#include "kernels/exec/interrupt.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace sllmr::python {
namespace {

/// Throws Error where the run would read other data than these.
void require_read_by(const Config& config, const Data& data) {
  Config read = config;
  read.data = data.config.data;
  // These are the model's.
  read.data.max_history = config.data.max_history;
  read.data.allow_missing_attributes = config.data.allow_missing_attributes;
  const std::string difference = first_difference(read, config);
  require(difference.empty(),
          fmt::format("the Dataset was read with other settings ({}): give them to Dataset, "
                      "or a path as data=",
                      difference));
}

void train_run(const std::string& recipe, const std::vector<std::string>& words, bool resume,
               const Data* data, const nb::object& listener, bool takes_progress) {
  run_work(listener, takes_progress, [&](Caller&) {
    const Config config = load_config(recipe, words);
    std::optional<World> world;
    if (data != nullptr) {
      require_read_by(config, *data);
      world = data->world;
    }
    const nlohmann::json summary = train(config, resume, alone(), std::move(world));
    if (summary.is_null()) throw Interrupted();
  });
}

nb::object compare_methods(const std::string& recipe, const std::vector<std::string>& words,
                           const std::string& out, const std::vector<std::string>& methods,
                           const std::vector<int>& seeds, const std::vector<std::string>& metrics, bool force,
                           const Data* data, const nb::object& listener, bool takes_progress) {
  const Comparison comparison{.recipe = recipe,
                              .out = out,
                              .overrides = words,
                              .methods = methods,
                              .metrics = metrics,
                              .seeds = seeds,
                              .force = force};
  std::string text;
  run_work(listener, takes_progress, [&](Caller&) {
    const RunPlan plan = plan_comparison(comparison);
    if (data != nullptr) {
      require_read_by(plan.runs.front().config, *data);
      require(load_world(plan.runs.front().config).data->hash == data->set().hash,
              fmt::format("{} has changed since the Dataset was read: read it again", data->set().source));
    }
    text = figures_markdown(run_table(plan, [](const RunResult&) {}));
  });
  return shown(text);
}

nb::object evaluate_stored(const std::string& run_dir, bool validation, const std::string& device,
                           const std::string& predictions, const nb::object& listener, bool takes_progress) {
  nlohmann::json figures;
  run_work(listener, takes_progress, [&](Caller&) {
    figures = evaluate_run({.run_dir = run_dir,
                            .target = validation ? Target::validation : Target::test,
                            .device = device,
                            .predictions = predictions});
  });
  return shown(json_text(figures));
}

int run_program(const std::vector<std::string>& words) {
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  const nb::gil_scoped_release alone;
  return run_app(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

void bind_runs(nb::module_& module) {
  module.def("stop_work", &stop_work, "Stops what is under way, at the end of the interpreter.");
  module.def("train", &train_run, "recipe"_a, "words"_a, "resume"_a, "data"_a.none(), "listener"_a,
             "takes_progress"_a, "Trains one model into the run_dir that `words` name.");
  module.def("compare", &compare_methods, "recipe"_a, "words"_a, "out"_a, "methods"_a, "seeds"_a, "metrics"_a,
             "force"_a, "data"_a.none(), "listener"_a, "takes_progress"_a,
             "Runs methods x seeds into the folder `out`. Returns the table that sllmr compare prints.");
  module.def("evaluate_run", &evaluate_stored, "run_dir"_a, "validation"_a, "device"_a, "predictions"_a,
             "listener"_a, "takes_progress"_a,
             "Evaluates the checkpoint of a run. Returns JSON as in summary.json's \"test\".");
  module.def("run_program", &run_program, "words"_a, "The command line program; returns its exit status.");
}

}  // namespace sllmr::python
