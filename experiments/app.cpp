// A command is one file under commands/ and one line here.
#include "experiments/app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <new>
#include <stdexcept>

#include "experiments/commands/compare.h"
#include "experiments/commands/data.h"
#include "experiments/commands/demo.h"
#include "experiments/commands/experiment.h"
#include "experiments/commands/list.h"
#include "experiments/commands/llm.h"
#include "experiments/commands/train.h"
#include "experiments/report/text.h"
#include "host/train/interrupt.h"

namespace sllmr {

int run_app(int argc, const char* const* argv) {
  constexpr int kFailed = 1, kInterrupted = 130;
  constexpr const char* kOutOfMemory =
      "out of memory; use a smaller model.width, model.hidden or train.batch_size";
  CLI::App app("sllmr: selective LLM-guided regularisation of recommenders");
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  add_data_command(app);
  add_llm_command(app);
  add_train_command(app);
  add_eval_command(app);
  add_compare_command(app);
  add_experiment_command(app);
  add_demo_command(app);
  add_gates_command(app);
  add_config_command(app);
  add_devices_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const Interrupted&) {
    return kInterrupted;
  } catch (const std::exception& error) {
    // A length_error is of a vector that no memory could hold.
    const bool memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                        dynamic_cast<const std::length_error*>(&error) != nullptr;
    fmt::print(stderr, "sllmr: error: {}\n", memory ? kOutOfMemory : error.what());
    return kFailed;
  }
  return 0;
}

}  // namespace sllmr
