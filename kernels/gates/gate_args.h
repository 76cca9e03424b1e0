// The gate of a run as its kernels get it.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/exec/loops.h"
#include "kernels/exec/math.h"
#include "kernels/exec/random.h"
#include "kernels/gates/columns.h"
#include "kernels/gates/signals.h"
#include "kernels/score_noise.h"

namespace sllmr {

/// The gate of one run, as kernels see it.
struct GateArgs {
  int module = 0;  // whose parts they are (kernels/gates/module/module.h); 0: registered ones
  int rule = 0, objective = 0, penalty = 0;
  bool uses_probes = false, uses_cosine = false;
  bool least_side = false;  // a pair is what its lesser side is, instead of their mean
  bool holds_out = false;   // probes of held_out() users teach nothing
  Uncertainty uncertainty = Uncertainty::confidence;
  float lambda = 0, margin = 0, price = 0, budget_weight = 0, budget_target = 0;
  float draw_power = 1;  // of GateSignals::draw
  NoiseShare noise;      // llm.noise
  std::uint64_t seed = 0;
  const float* theta = nullptr;        // [n_params]
  const float* running = nullptr;      // {mean alpha, mean alpha * hinge}
  const UserSignals* users = nullptr;  // [users]
  const ItemSignals* items = nullptr;  // [items]
  float* slots = nullptr;              // [n_slots x GateColumns::stride]
  int n_slots = 0;
};

/// What pairs do to the model: the gradients of its loss by s(u,a) and s(u,b), lambda included; 0 of probes.
template <int Most>
struct GatedPairs {
  float push_a[Most], push_b[Most];

  /// Does pair k pull at all? A NaN does.
  SLLMR_HD bool pulls(int k) const { return push_a[k] != 0.0F || push_b[k] != 0.0F; }
};

/// One user in eight: its probes tell how reliable a gate is that has not seen them.
SLLMR_INLINE bool held_out(const GateArgs& gate, Id user) {
  const auto key = static_cast<std::uint32_t>(user) ^ static_cast<std::uint32_t>(gate.seed);
  return gate.holds_out && (key * 0x9E3779B1U) >> 29 == 0;
}

/// GateSignals::draw of one (user, item) for a rule that reads it, given its other signals; else 0.
template <class Rule>
SLLMR_INLINE float gate_draw(const GateArgs& gate, Id user, Id item, const GateSignals& z) {
  if constexpr (Rule::knows_noise) {
    const std::uint32_t word = noise_draw(gate.seed, user, item).word[0];
    return gate.noise.replaces(word, z.cold != 0.0F, z.tail != 0.0F) ? 0.0F : 1.0F;
  } else if constexpr (Rule::uses_draw) {
    const std::uint64_t key = (static_cast<std::uint64_t>(user) << 32) | static_cast<std::uint32_t>(item);
    const float draw = uniform(philox(gate.seed, 0, key, Purpose::gate_rule).word[0]);
    // u^k of a uniform u has the mean 1 / (k + 1).
    return gate.draw_power == 1.0F ? draw : exp_of(gate.draw_power * log_of(draw + 0x1p-33F));
  } else {
    return 0.0F;
  }
}

/// Signals of one (user, item), but for those of its logit and the draw, which are 0.
SLLMR_INLINE GateSignals gate_signals(const GateArgs& gate, Id user, Id item, float gap) {
  GateSignals z{};
  z.score_gap = gap;
  // Number by number: copied as a whole, GCC 12 keeps them in memory.
  const UserSignals of_user = gate.users[user];
  const ItemSignals of_item = gate.items[item];
  z.cold = of_user.cold;
  z.tail = of_item.tail;
  OtherUserSignals::copy(of_user, z);
  OtherSideSignals::copy(of_item, z);
  return z;
}

}  // namespace sllmr
