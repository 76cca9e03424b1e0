// The command line program. A command is one file under commands/ and one line here.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "experiments/commands/data.h"
#include "experiments/commands/demo.h"
#include "experiments/commands/list.h"
#include "experiments/commands/llm.h"
#include "experiments/commands/train.h"
#include "experiments/report/text.h"

int main(int argc, char** argv) {
  constexpr int kFailed = 1, kInterrupted = 130;
  CLI::App app("sllmr: selective LLM-guided regularisation of recommenders");
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  sllmr::add_data_command(app);
  sllmr::add_llm_command(app);
  sllmr::add_train_command(app);
  sllmr::add_eval_command(app);
  sllmr::add_demo_command(app);
  sllmr::add_gates_command(app);
  sllmr::add_config_command(app);
  sllmr::add_devices_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const sllmr::Interrupted&) {
    return kInterrupted;
  } catch (const std::exception& error) {
    fmt::print(stderr, "sllmr: error: {}\n", error.what());
    return kFailed;
  }
  return 0;
}
