// `sllmr demo`.
#pragma once

namespace CLI {
class App;
}

namespace sllmr {

void add_demo_command(CLI::App& app);

}  // namespace sllmr
