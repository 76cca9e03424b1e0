// `sllmr train`, `sllmr eval` and `sllmr config`.
#pragma once

namespace CLI {
class App;
}

namespace sllmr {

void add_train_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_config_command(CLI::App& app);

}  // namespace sllmr
