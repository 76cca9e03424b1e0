// Element-wise updates of one table row, shared by the fused and the exact step. Formulas as PyTorch's
// optimisers.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/mf.h"

namespace sllmr {

inline constexpr float kAdagradEps = 1e-10F;
// 1 - beta is written out: in float 1 - .999 is off in the fifth digit.
inline constexpr float kAdamBeta1 = 0.9F, kAdamRest1 = 0.1F, kAdamBeta2 = 0.999F, kAdamRest2 = 0.001F,
                       kAdamEps = 1e-8F;

/// In place and asynchronous; on CUDA the atomic add loses no update where many rows share an item.
struct Sgd {
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
      : step_size(rate / correction(kLogBeta1, t)),
        second_scale(1.0F / std::sqrt(correction(kLogBeta2, t))) {}

  SLLMR_HD void step(const TableView& table, std::int64_t at, float weight, float gradient) const {
    const float m = kAdamBeta1 * table.first[at] + kAdamRest1 * gradient;
    const float v = kAdamBeta2 * table.second[at] + kAdamRest2 * gradient * gradient;
    table.first[at] = m;
    table.second[at] = v;
    table.weights[at] = weight - step_size * m / (std::sqrt(v) * second_scale + kAdamEps);
  }

 private:
  static constexpr float kLogBeta1 = -0.105360516F, kLogBeta2 = -0.00100050033F;  // ln .9, ln .999

  /// 1 - beta^t, without cancellation.
  SLLMR_HD static float correction(float log_beta, std::int32_t t) {
    return -std::expm1(log_beta * static_cast<float>(t));
  }
};

/// Adam on touched rows only; each row counts its own updates.
struct LazyAdam {
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
    lanes.sync();  // every lane has read the old count
    if (lanes.lane() == 0) table.steps[row] = t;
  }
};

}  // namespace sllmr
