// A command is one file under commands/ and one line here.
#include "experiments/app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "experiments/commands/commands.h"
#include "experiments/report/text.h"
#include "host/runs/provenance.h"
#include "kernels/exec/communicator.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {

namespace {

constexpr int kFailed = 1, kInterrupted = 130;

/// What goes wrong on all ranks is told once: the first one tells, and whoever started them ends the others.
void let_earlier_ranks_tell() {
  const int rank = started_as_rank();
  if (rank > 0) std::this_thread::sleep_for(std::chrono::seconds(3) + rank * std::chrono::milliseconds(50));
}

/// Never throws, as fmt::print() does where standard error cannot be written either. A message that quotes a
/// whole file's worth of input loses its middle: place and remedy stand at its ends.
void print_error(const std::string& message) {
  const int rank = started_as_rank();
  std::string of_rank;
  if (rank > 0) of_rank = fmt::format("rank {}: ", rank);
  let_earlier_ranks_tell();
  constexpr std::size_t kEnd = 1500;
  const bool is_long = message.size() > 2 * kEnd;
  const std::size_t first = is_long ? kEnd : message.size(), last = is_long ? message.size() - kEnd : first;
  std::fprintf(stderr, "sllmr: error: %s%.*s%s%s\n", of_rank.c_str(), static_cast<int>(first),
               message.c_str(), is_long ? " [...] " : "", message.c_str() + last);
}

int run_command(int argc, const char* const* argv) {
  constexpr const char* kOutOfMemory =
      "out of memory; use a smaller model.width, model.hidden or train.batch_size";
  CLI::App app("sllmr: selective LLM-guided regularisation of recommenders");
  app.require_subcommand(1);
  app.set_version_flag("--version", "sllmr " + program_version());
  app.failure_message(CLI::FailureMessage::simple);
  add_data_command(app);
  add_llm_command(app);
  add_train_command(app);
  add_eval_command(app);
  add_compare_command(app);
  add_experiment_command(app);
  add_demo_command(app);
  add_gates_command(app);
  add_methods_command(app);
  add_optimizers_command(app);
  add_metrics_command(app);
  add_config_command(app);
  add_devices_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) let_earlier_ranks_tell();
    return app.exit(error);
  } catch (const Interrupted&) {
    return kInterrupted;
  } catch (const std::exception& error) {
    // A length_error is of a vector that no memory could hold.
    const bool memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                        dynamic_cast<const std::length_error*>(&error) != nullptr;
    print_error(memory ? kOutOfMemory : error.what());
    return kFailed;
  }
  return 0;
}

}  // namespace

int run_app(int argc, const char* const* argv) {
  const int status = run_command(argc, argv);
  // Whatever was printed, by whichever command: output that is lost is a failure.
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  const int error = errno;
  if (status == kFailed) end_other_ranks(status);
  if (flushed && std::ferror(stdout) == 0) return status;
  std::clearerr(stdout);
  if (status == 0) {
    print_error(fmt::format("cannot write to standard output{}",
                            error != 0 ? fmt::format(": {}", std::strerror(error)) : std::string()));
  }
  return status == 0 ? kFailed : status;
}

}  // namespace sllmr
