#include "experiments/commands/list.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "kernels/exec/context.h"
#include "kernels/gates/registry.h"

namespace sllmr {

void add_gates_command(CLI::App& app) {
  CLI::App* gates = app.add_subcommand("gates", "Gating rules and gate objectives");
  gates->require_subcommand(1);
  gates->add_subcommand("list", "List them")->callback([] {
    fmt::print("rules (gate.rule): alpha of a (user, item)\n");
    for (const GatePart& rule : gate_rules()) {
      fmt::print("  {:<14} {:>3} parameters  {}\n", rule.name, rule.n_params, rule.summary);
    }
    fmt::print("objectives (gate.objective): what the rule's parameters are trained for\n");
    for (const GatePart& objective : gate_objectives()) {
      fmt::print("  {:<14} {}\n", objective.name, objective.summary);
    }
  });
}

void add_devices_command(CLI::App& app) {
  app.add_subcommand("devices", "List the devices that --device can choose")->callback([] {
    for (const DeviceInfo& info : list_devices()) {
      fmt::print("{:<5} {}, {:.0f} GiB, {} {}\n", info.device == Device::cpu ? "cpu" : "cuda", info.name,
                 info.memory_gib, info.units, info.device == Device::cpu ? "threads" : "multiprocessors");
    }
  });
}

}  // namespace sllmr
