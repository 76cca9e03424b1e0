// Element-wise updates of one table row, shared by the fused and the exact step: of one number, or of four
// neighbours at once. Formulas as PyTorch's optimisers. What there is to know of each besides its formula:
// kernels/optimizer_list.h.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <type_traits>

#include "kernels/adam_constants.h"
#include "kernels/mf_args.h"

namespace sllmr {

inline constexpr float kAdagradEps = 1e-10F;
// 1 - beta is rounded last: in float 1 - .999 is off in the fifth digit.
inline constexpr float kAdamBeta1 = static_cast<float>(AdamConstants::beta1),
                       kAdamRest1 = static_cast<float>(1 - AdamConstants::beta1),
                       kAdamBeta2 = static_cast<float>(AdamConstants::beta2),
                       kAdamRest2 = static_cast<float>(1 - AdamConstants::beta2),
                       kAdamEps = static_cast<float>(AdamConstants::epsilon);

/// In place and asynchronous; on CUDA the atomic add loses no update where many rows share an item.
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
  SLLMR_HD void step(Lanes lanes, const TableView& table, std::int64_t at, const Four& /*weight*/,
                     const Four& gradient) const {
    float change[4];
    for (int k = 0; k < 4; ++k) change[k] = -rate * gradient.value[k];
    lanes.add_four(table.weights + at, change);
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
    table.weights[at] = next(weight, table.first[at], gradient);
  }
  template <class Lanes>
  SLLMR_HD void step(Lanes, const TableView& table, std::int64_t at, Four weight,
                     const Four& gradient) const {
    Four sum = four_at(table.first, at);
    for (int k = 0; k < 4; ++k) weight.value[k] = next(weight.value[k], sum.value[k], gradient.value[k]);
    four_at(table.first, at) = sum;
    four_at(table.weights, at) = weight;
  }
  template <class Lanes>
  SLLMR_HD void finish(Lanes, const TableView&, Id) const {}

 private:
  SLLMR_HD float next(float weight, float& sum, float gradient) const {
    sum += gradient * gradient;
    return weight - rate * gradient / (std::sqrt(sum) + kAdagradEps);
  }
};

/// Adam with the bias corrections of step `t` folded into two factors.
struct AdamUpdate {
  float step_size, second_scale;

  SLLMR_HD AdamUpdate(float rate, std::int32_t t)
      : step_size(rate / correction(kLogBeta1, t)),
        second_scale(1.0F / std::sqrt(correction(kLogBeta2, t))) {}

  SLLMR_HD void step(const TableView& table, std::int64_t at, float weight, float gradient) const {
    table.weights[at] = next(weight, table.first[at], table.second[at], gradient);
  }
  SLLMR_HD void step(const TableView& table, std::int64_t at, Four weight, const Four& gradient) const {
    Four m = four_at(table.first, at), v = four_at(table.second, at);
    for (int k = 0; k < 4; ++k) {
      weight.value[k] = next(weight.value[k], m.value[k], v.value[k], gradient.value[k]);
    }
    four_at(table.first, at) = m;
    four_at(table.second, at) = v;
    four_at(table.weights, at) = weight;
  }

 private:
  SLLMR_HD float next(float weight, float& m, float& v, float gradient) const {
    m = kAdamBeta1 * m + kAdamRest1 * gradient;
    v = kAdamBeta2 * v + kAdamRest2 * gradient * gradient;
    return weight - step_size * m / (std::sqrt(v) * second_scale + kAdamEps);
  }

  static constexpr float kLogBeta1 = -0.105360516F, kLogBeta2 = -0.00100050033F;  // ln beta

  /// 1 - beta^t, without cancellation.
  SLLMR_HD static float correction(float log_beta, std::int32_t t) {
    return -std::expm1(log_beta * static_cast<float>(t));
  }
};

/// Adam on touched rows only; each row counts its own updates.
struct LazyAdam {
  static constexpr OptimizerKind kind = OptimizerKind::lazy_adam;
  AdamUpdate update;
  std::int32_t t;

  SLLMR_HD LazyAdam(const OptimizerArgs& args, const TableView& table, Id row)
      : update(args.learning_rate, table.steps[row] + 1), t(table.steps[row] + 1) {}
  template <class Lanes, class Numbers>
  SLLMR_HD void step(Lanes, const TableView& table, std::int64_t at, const Numbers& weight,
                     const Numbers& gradient) const {
    update.step(table, at, weight, gradient);
  }
  template <class Lanes>
  SLLMR_HD void finish(Lanes lanes, const TableView& table, Id row) const {
    lanes.sync();  // every lane has read the old count
    if (lanes.lane() == 0) table.steps[row] = t;
  }
};

/// Adam on every row, which all are in the optimiser's step `step`.
struct DenseAdam : AdamUpdate {
  static constexpr OptimizerKind kind = OptimizerKind::adam;

  DenseAdam(const OptimizerArgs& args, std::int32_t step) : AdamUpdate(args.learning_rate, step) {}
};

/// Made for each row that it steps. One of every row is made once a step, as DenseAdam is.
template <class Optimizer>
concept StepsTouchedRows = std::constructible_from<Optimizer, const OptimizerArgs&, const TableView&, Id>;

template <class... Optimizers>
struct OptimizerTypes {
  static_assert(sizeof...(Optimizers) == std::size(kOptimizers), "an optimiser of kOptimizers has no struct");
  static_assert(((StepsTouchedRows<Optimizers> != info_of(Optimizers::kind).every_row) && ...),
                "OptimizerInfo::every_row and the struct's constructor disagree");

  /// Calls function(std::type_identity<Optimizer>()) with the one of `kind`.
  template <class Function>
  static void with(OptimizerKind kind, const Function& function) {
    ((Optimizers::kind == kind ? call<Optimizers>(function) : void()), ...);
  }

 private:
  template <class Optimizer, class Function>
  static void call(const Function& function) {
#if defined(SLLMR_GATE_OPTIMIZER)
    if constexpr (Optimizer::kind == OptimizerKind::SLLMR_GATE_OPTIMIZER)
#endif
      function(std::type_identity<Optimizer>());
  }
};
using AllOptimizers = OptimizerTypes<Sgd, Adagrad, LazyAdam, DenseAdam>;

}  // namespace sllmr
