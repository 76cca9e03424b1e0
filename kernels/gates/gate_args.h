// The gate of a run as its kernels get it.
#pragma once

#include <cstdint>

#include "kernels/exec/loops.h"
#include "kernels/exec/random.h"
#include "kernels/gates/columns.h"
#include "kernels/gates/signals.h"

namespace sllmr {

/// The gate of one run, as kernels see it.
struct GateArgs {
  int rule = 0, objective = 0;
  bool uses_probes = false, uses_draw = false, uses_cosine = false;
  Uncertainty uncertainty = Uncertainty::confidence;
  float lambda = 0, margin = 0, price = 0, budget_weight = 0, budget_target = 0;
  std::uint64_t seed = 0;
  const float* theta = nullptr;        // [n_params]
  const float* running = nullptr;      // {mean alpha, mean alpha * hinge}
  const UserSignals* users = nullptr;  // [users]
  const ItemSignals* items = nullptr;  // [items]
  float* slots = nullptr;              // [n_slots x GateColumns::stride]
  int n_slots = 0;
};

/// What a pair does to the model: its weight on the hinge, and the hinge.
struct GatedPair {
  float weight;  // of the hinge in the model's loss: lambda * alpha, or what the objective makes of it
  float hinge;
};

/// Signals of one (user, item), but for its uncertainty, which is up to the logit: 0.
SLLMR_INLINE GateSignals gate_signals(const GateArgs& gate, Id user, Id item, float gap) {
  GateSignals z{};
  z.score_gap = gap;
  // Number by number: copied as a whole, GCC 12 keeps them in memory.
  const UserSignals of_user = gate.users[user];
  const ItemSignals of_item = gate.items[item];
  z.cold = of_user.cold;
  z.tail = of_item.tail;
  OtherSignals::copy(of_user, z);
  OtherSignals::copy(of_item, z);
  if (gate.uses_draw) {
    const std::uint64_t key = (static_cast<std::uint64_t>(user) << 32) | static_cast<std::uint32_t>(item);
    z.draw = uniform(philox(gate.seed, 0, key, Purpose::gate_rule).word[0]);
  }
  return z;
}

}  // namespace sllmr
