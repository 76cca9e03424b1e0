// The fixture of ten steps taken by PyTorch (tools/golden/make_mf_golden.py) as a world.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/mf_batch.h"
#include "tests/support/gates.h"
#include "tests/support/world.h"

namespace sllmr {

/// The start of training, the same in every case, and where PyTorch arrived in each of them.
struct Golden {
  struct Case {
    World world;
    std::string objective;
    std::vector<double> losses;               // of each step
    std::vector<double> users, items, theta;  // after the last step
  };
  std::int64_t batch = 0;
  std::vector<Case> cases;
};

inline std::vector<double> flat_table(const nlohmann::json& rows) {
  std::vector<double> out;
  for (const auto& row : rows) {
    for (const double x : row) out.push_back(x);
  }
  return out;
}

/// Fresh optimiser state.
inline HostTable golden_table(const nlohmann::json& rows) {
  const std::vector<double> weights = flat_table(rows);
  return {{weights.begin(), weights.end()},
          std::vector<float>(weights.size()),
          std::vector<float>(weights.size()),
          std::vector<std::int32_t>(rows.size())};
}

inline World golden_world(const nlohmann::json& file, const nlohmann::json& result) {
  const nlohmann::json& settings = file["settings"];
  World world;
  world.shape.width = file["width"];
  world.shape.users = static_cast<Id>(file["users"].size()) - 1;
  world.shape.items = static_cast<Id>(file["items"].size()) - 1;
  world.shape.rows = static_cast<std::int64_t>(file["rows"].size());
  world.state.users = golden_table(file["users"]);
  world.state.items = golden_table(file["items"]);
  const std::vector<float> theta = file["theta"], zero(theta.size());
  world.state.gate = {theta, zero, zero, {0, 0}};
  for (const float cold : file["cold"])
    world.user_signals.push_back(make_signals<UserSignals>(cold, [] { return 0.0F; }));
  for (const float tail : file["tail"])
    world.item_signals.push_back(make_signals<ItemSignals>(tail, [] { return 0.0F; }));
  world.pair_rate = Share::of(1);
  for (const std::vector<int> row : file["rows"]) {
    world.triples.push_back({row[0], row[1], row[2]});
    world.pairs.push_back(
        {{row[3], row[4], 0.5F, 0}, {row[5], row[6], 0.5F, 0.5F - 0.5F * static_cast<float>(row[7])}});
  }
  world.gate.rule = rule_id("learned");
  world.gate.objective = objective_id(result["objective"].get<std::string>());
  world.gate.uses_probes = gate_objectives()[static_cast<std::size_t>(world.gate.objective)].uses_probes;
  for (const UncertaintyInfo& info : kUncertainties) {
    if (info.name == result["uncertainty"].get<std::string>()) world.gate.uncertainty = info.kind;
  }
  world.gate.lambda = settings["lambda"];
  world.gate.margin = settings["margin"];
  world.gate.price = settings["price"];
  world.optimizer = {settings["learning_rate"], settings["l2"]};
  world.gate_rate = settings["gate_learning_rate"];
  return world;
}

inline Golden read_golden() {
  std::ifstream in(SLLMR_SOURCE_DIR "/tests/kernels/golden/mf_adam.json");
  const nlohmann::json file = nlohmann::json::parse(in);
  Golden golden;
  golden.batch = file["batch"];
  for (const nlohmann::json& result : file["cases"]) {
    golden.cases.push_back({golden_world(file, result), result["objective"], result["losses"],
                            flat_table(result["users"]), flat_table(result["items"]), result["theta"]});
  }
  return golden;
}

/// Takes all steps with dense Adam; returns each one's loss.
inline std::vector<double> run_golden(const Context& context, const Golden& golden, const World& world,
                                      DeviceWorld& device) {
  MfBatch exact(context, world.shape.width, world.shape.users + 1, world.shape.items + 1, golden.batch,
                OptimizerKind::adam);
  std::vector<double> losses;
  double before = 0;
  for (std::int64_t row = 0; row < world.shape.rows; row += golden.batch) {
    const auto step = static_cast<std::int32_t>(losses.size()) + 1;
    exact.step(context, step, device.args(row, golden.batch));
    run(context, device.gate_step(step));
    const std::vector<double> totals = device.totals(context);
    const double loss =
        totals[GateColumns::loss] + static_cast<double>(world.gate.lambda) * totals[GateColumns::pair_hinge];
    losses.push_back((loss - before) / static_cast<double>(golden.batch));
    before = loss;
  }
  return losses;
}

}  // namespace sllmr
