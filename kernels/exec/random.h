// Counter-based random numbers (Philox 4x32-10, Random123): a draw depends on (seed, epoch, row, purpose)
// alone, never on threads, batches or the machine.
#pragma once

#include <cmath>
#include <cstdint>

#include <Random123/philox.h>

#include "kernels/exec/types.h"

namespace sllmr {

/// What a draw is for, so that two uses of one row never share numbers.
enum class Purpose : std::uint32_t {
  shuffle,
  negative,
  pair,
  pair_choice,
  probe,
  init_user,
  init_item,
  init_gate,
  gate_rule,
  candidates,
  noise,
  ctr_train_negative,
  ctr_validation_negative,
  ctr_test_negative,
  synthetic,
  init_layer,
  dropout,
  mc_dropout,
  sketch,
  distillation_negative,
  example_pool,
  example_order,
};

/// Four independent 32-bit words.
struct Draw {
  std::uint32_t word[4];
};

/// `block` numbers the draws of one row where four words are not enough.
SLLMR_HD inline Draw philox(std::uint64_t seed, std::uint32_t epoch, std::uint64_t row, Purpose purpose,
                            std::uint32_t block = 0) {
  r123::Philox4x32 generator;
  r123::Philox4x32::ctr_type counter = {{static_cast<std::uint32_t>(row),
                                         static_cast<std::uint32_t>(row >> 32), epoch,
                                         static_cast<std::uint32_t>(purpose) | (block << 8)}};
  r123::Philox4x32::key_type key = {
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}};
  const r123::Philox4x32::ctr_type out = generator(counter, key);
  return {{out[0], out[1], out[2], out[3]}};
}

/// Uniform in [0, 1), 24 bits.
SLLMR_HD inline float uniform(std::uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24F;
}

/// Uniform in {0, ..., n - 1}; its bias is below n / 2^32.
SLLMR_HD inline std::uint32_t below(std::uint32_t word, std::uint32_t n) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(word) * n) >> 32);
}

/// Standard normal from two words (Box and Muller).
SLLMR_HD inline float normal(std::uint32_t first, std::uint32_t second) {
  const float radius = std::sqrt(-2.0F * std::log(1.0F - uniform(first)));
  return radius * std::cos(6.2831853F * uniform(second));
}

}  // namespace sllmr
