// Element-wise updates of one table row, shared by the fused and the exact step. Formulas as PyTorch's
// optimisers.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/mf.h"

namespace sllmr {

inline constexpr float kAdamBeta1 = 0.9F, kAdamBeta2 = 0.999F, kAdamEps = 1e-8F, kAdagradEps = 1e-10F;

/// In place and asynchronous; the atomic add loses no update where many rows share an item.
struct Sgd {
  static constexpr OptimizerKind kind = OptimizerKind::sgd;
  float rate;

  SLLMR_HD Sgd(const OptimizerArgs& args, const TableView&, Id) : rate(args.learning_rate) {}
  template <class Lanes>
  SLLMR_HD void step(Lanes lanes, const TableView& table, std::int64_t at, float /*weight*/,
                     float gradient) const {
    lanes.add(table.weights + at, -rate * gradient);
  }
  template <class Lanes>
  SLLMR_HD void finish(Lanes, const TableView&, Id) const {}
};

struct Adagrad {
  static constexpr OptimizerKind kind = OptimizerKind::adagrad;
  float rate;

  SLLMR_HD Adagrad(const OptimizerArgs& args, const TableView&, Id) : rate(args.learning_rate) {}
  template <class Lanes>
  SLLMR_HD void step(Lanes, const TableView& table, std::int64_t at, float weight, float gradient) const {
    const float sum = table.first[at] + gradient * gradient;
    table.first[at] = sum;
    table.weights[at] = weight - rate * gradient / (std::sqrt(sum) + kAdagradEps);
  }
  template <class Lanes>
  SLLMR_HD void finish(Lanes, const TableView&, Id) const {}
};

/// Adam with the bias corrections of step `t` folded into two factors.
struct AdamUpdate {
  float step_size, second_scale;

  SLLMR_HD AdamUpdate(float rate, std::int32_t t)
      : step_size(rate / (1.0F - std::pow(kAdamBeta1, static_cast<float>(t)))),
        second_scale(1.0F / std::sqrt(1.0F - std::pow(kAdamBeta2, static_cast<float>(t)))) {}

  SLLMR_HD void step(const TableView& table, std::int64_t at, float weight, float gradient) const {
    const float m = kAdamBeta1 * table.first[at] + (1.0F - kAdamBeta1) * gradient;
    const float v = kAdamBeta2 * table.second[at] + (1.0F - kAdamBeta2) * gradient * gradient;
    table.first[at] = m;
    table.second[at] = v;
    table.weights[at] = weight - step_size * m / (std::sqrt(v) * second_scale + kAdamEps);
  }
};

/// Adam on touched rows only; each row counts its own updates.
struct LazyAdam {
  static constexpr OptimizerKind kind = OptimizerKind::lazy_adam;
  AdamUpdate update;
  std::int32_t t;

  SLLMR_HD LazyAdam(const OptimizerArgs& args, const TableView& table, Id row)
      : update(args.learning_rate, table.steps[row] + 1), t(table.steps[row] + 1) {}
  template <class Lanes>
  SLLMR_HD void step(Lanes, const TableView& table, std::int64_t at, float weight, float gradient) const {
    update.step(table, at, weight, gradient);
  }
  template <class Lanes>
  SLLMR_HD void finish(Lanes lanes, const TableView& table, Id row) const {
    if (lanes.lane() == 0) table.steps[row] = t;
  }
};

}  // namespace sllmr
