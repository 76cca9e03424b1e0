// What a user's gate part must have, told before anything else is compiled with it.
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include "kernels/gates/columns.h"
#include "kernels/gates/objectives/objective.h"
#include "kernels/gates/penalties/penalty.h"
#include "kernels/gates/rule.h"

namespace sllmr {

template <class Part>
concept HasNames = requires {
  { Part::name } -> std::convertible_to<std::string_view>;
  { Part::summary } -> std::convertible_to<std::string_view>;
};

/// Does a formula give a float of floats? An integer would be cut off.
template <class Result>
inline constexpr bool is_real = std::is_floating_point_v<std::remove_cvref_t<Result>>;

template <class Part>
constexpr bool check_gate_part() {
  static_assert(HasNames<Part>,
                "a gate part needs `static constexpr std::string_view name = \"..\", summary = \"..\";`");
  if constexpr (std::is_base_of_v<GateRule, Part>) {
    static_assert(Part::n_params >= 0 && Part::n_params <= kMaxGateParams,
                  "a rule has at most kMaxGateParams parameters: kernels/gates/columns.h");
    static_assert(is_real<decltype(Part::alpha(GateSignals{}, PlainTheta<float>{}))>,
                  "alpha must give a float: write 1.0F instead of 1");
  }
  return true;
}

}  // namespace sllmr
