// `sllmr compare`.
#pragma once

namespace CLI {
class App;
}

namespace sllmr {

void add_compare_command(CLI::App& app);

}  // namespace sllmr
