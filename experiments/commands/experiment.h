// `sllmr experiment run`: a table of the paper, cell by cell.
#pragma once

namespace CLI {
class App;
}

namespace sllmr {

void add_experiment_command(CLI::App& app);

}  // namespace sllmr
