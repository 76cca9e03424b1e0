// `sllmr data stats` and `sllmr data import`.
#pragma once

namespace CLI {
class App;
}

namespace sllmr {

/// Registers `data` with its subcommands on `app`. Their callbacks print to standard output and throw Error.
void add_data_command(CLI::App& app);

}  // namespace sllmr
