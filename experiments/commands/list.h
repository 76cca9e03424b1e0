// What there is: `sllmr gates list`, `sllmr methods`, `sllmr metrics` and `sllmr devices`.
#pragma once

namespace CLI {
class App;
}

namespace sllmr {

void add_gates_command(CLI::App& app);
void add_methods_command(CLI::App& app);
void add_metrics_command(CLI::App& app);
void add_devices_command(CLI::App& app);

}  // namespace sllmr
