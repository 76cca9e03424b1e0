// What there is: `sllmr gates list`, `sllmr methods`, `sllmr optimizers`, `sllmr metrics` and `sllmr
// devices`.
#include "experiments/commands/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "host/eval/protocol.h"
#include "host/guidance/gate_module.h"
#include "host/guidance/registry.h"
#include "kernels/exec/context.h"
#include "kernels/gates/parts.h"
#include "kernels/optimizer_list.h"

namespace sllmr {

namespace {

/// What an objective was found to read of a pair.
std::vector<std::string_view> reads_of(const GatePart& objective) {
  std::vector<std::string_view> names;
  if (objective.uses_probes) names.emplace_back("probes");
  if (objective.uses_hinge) names.emplace_back("hinge");
  if (objective.uses_cosine) names.emplace_back("cosine");
  if (objective.uses_price) names.emplace_back("gate.price");
  if (objective.uses_budget) names.emplace_back("gate.budget_*");
  return names;
}

}  // namespace

void add_gates_command(CLI::App& app) {
  CLI::App* gates = app.add_subcommand("gates", "Gating rules, gate objectives, penalties and uncertainties");
  gates->require_subcommand(1);
  CLI::App* check =
      gates->add_subcommand("check", "Compile a header with a rule, objective or penalty and try it out");
  auto file = std::make_shared<std::string>();
  check->add_option("FILE", *file, "what gate.rule=FILE, gate.objective=FILE or llm.penalty=FILE would take")
      ->required();
  check->callback([file] {
    const GateCheck result = check_gate_file(*file);
    bool sound = true;
    for (const GateTrial& trial : result.trials) {
      fmt::print("{}: ", trial.part);
      if (trial.is_rule && trial.fault.empty())
        fmt::print("alpha from {:.4g} to {:.4g}, reads {}; ", trial.low, trial.high,
                   trial.reads.empty() ? "no signal" : fmt::format("{}", fmt::join(trial.reads, ", ")));
      fmt::print("slopes within {:.1e} of central differences\n", trial.worst);
      if (!trial.fault.empty()) fmt::print("{}: fault: {}\n", trial.part, trial.fault);
      sound = sound && trial.fault.empty();
    }
    if (result.seconds > 0) fmt::print("compiled in {:.1f} s\n", result.seconds);
    if (!sound) throw Error(*file + " has a fault");
  });
  gates->add_subcommand("list", "List them")->callback([] {
    fmt::print("rules (gate.rule): alpha of a (user, item)\n");
    for (const GatePart& rule : gate_rules()) {
      fmt::print("  {:<14} {:>3} parameters  {}\n", rule.name, rule.n_params, rule.summary);
    }
    fmt::print("objectives (gate.objective): what the rule's parameters are trained for\n");
    for (const GatePart& objective : gate_objectives()) {
      fmt::print("  {:<14} {} (reads {})\n", objective.name, objective.summary,
                 fmt::join(reads_of(objective), ", "));
    }
    fmt::print("penalties (llm.penalty): how a pair of weight w pulls the model\n");
    for (const GatePart& penalty : gate_penalties()) {
      fmt::print("  {:<14} {}\n", penalty.name, penalty.summary);
    }
    fmt::print("uncertainties (gate.uncertainty): a signal of rules, of the backbone's p = sigmoid(logit)\n");
    for (const UncertaintyInfo& info : kUncertainties) {
      fmt::print("  {:<14} {}{}\n", info.name, info.summary, info.needs_passes ? " (deep backbones)" : "");
    }
  });
}

void add_methods_command(CLI::App& app) {
  app.add_subcommand("methods", "List the methods of guidance that method= chooses")->callback([] {
    for (const GuidanceInfo& info : guidance_methods()) {
      fmt::print("{:<10} {}\n           method={}\n", info.name, info.summary, fmt::join(info.words, ", "));
      for (const PartKey& key : info.keys) fmt::print("           {}: {}\n", key.name, key.doc);
    }
  });
}

void add_optimizers_command(CLI::App& app) {
  app.add_subcommand("optimizers", "List the optimisers that train.optimizer= chooses")->callback([] {
    for (const OptimizerInfo& info : kOptimizers) {
      fmt::print("{:<10} {} (train.mode={}{})\n", info.name, info.summary,
                 info.every_row ? "exact" : "fused or exact", info.deep ? "; deep backbones too" : "");
    }
  });
}

void add_metrics_command(CLI::App& app) {
  app.add_subcommand("metrics", "List the protocols and metrics of evaluation")->callback([] {
    for (const Protocol& protocol : protocols()) {
      EvalConfig everything;
      everything.lists = true;
      const std::vector<Needs> offers = protocol.offers(everything);
      fmt::print("eval.protocol={}: {}\n", protocol.name, protocol.summary);
      for (const Metric& metric : metrics()) {
        if (std::ranges::find(offers, metric.needs) == offers.end()) continue;
        fmt::print("  {:<14} {}{}{}\n",
                   std::string(metric.name) + (metric.cut_off == CutOff::yes ? "@K" : ""), metric.summary,
                   metric.needs == Needs::lists ? " (eval.lists=true)" : "",
                   metric.better == Better::lower ? "; lower is better" : "");
      }
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
