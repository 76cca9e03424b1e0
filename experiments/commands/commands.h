// Every command of `sllmr`.
#pragma once

namespace CLI {
class App;
}

namespace sllmr {

/// Each registers a command, with its subcommands, on `app`. Callbacks print to standard output and throw
/// Error.
void add_train_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_config_command(CLI::App& app);
void add_compare_command(CLI::App& app);
void add_data_command(CLI::App& app);
void add_demo_command(CLI::App& app);
void add_experiment_command(CLI::App& app);
void add_llm_command(CLI::App& app);
// What there is:
void add_gates_command(CLI::App& app);
void add_methods_command(CLI::App& app);
void add_optimizers_command(CLI::App& app);
void add_metrics_command(CLI::App& app);
void add_devices_command(CLI::App& app);

}  // namespace sllmr
