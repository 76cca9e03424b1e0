// Which epoch of a run is best, and what follows where none is.
#pragma once

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/eval/metric.h"

namespace sllmr {

/// The validations of a run: the best so far, and for how long nothing was better.
struct Validation {
  std::optional<double> best;  // empty where none had a value
  int best_epoch = 0;          // 0: nothing was validated
  int without_gain = 0;        // validations since

  /// Is this the best so far? `value`: a number, or null where the metric has none; what is not finite is
  /// none too. The first validation is the best whatever it has; later ones must be better.
  bool add(int epoch, const nlohmann::json& value, Better better) {
    std::optional<double> now;
    if (value.is_number() && std::isfinite(value.get<double>())) now = value.get<double>();
    const bool gains = now && (!best || (better == Better::higher ? *now > *best : *now < *best));
    if (best_epoch > 0 && !gains) {
      ++without_gain;
      return false;
    }
    best = now;
    best_epoch = epoch;
    without_gain = 0;
    return true;
  }
};

inline constexpr const char* kChosenByTest =
    "warning: eval.monitor_on=test chooses the epoch by the rows that it is tested on, so the figures are "
    "too "
    "good: compare them with others that were made so alone";

/// The learning rate after so many validations without a gain. Not below 1e-6, as in FuxiCTR: steps would
/// vanish in a float.
inline double decayed_rate(double rate, double decay, int decays) {
  constexpr double kLeast = 1e-6;
  return std::max(rate * std::pow(decay, decays), std::min(rate, kLeast));
}

}  // namespace sllmr
