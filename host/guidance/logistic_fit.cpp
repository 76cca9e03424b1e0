#include "host/guidance/logistic_fit.h"

#include <cmath>

#include "kernels/exec/math.h"
#include "kernels/logit_loss.h"

namespace sllmr {

LogisticFit fit_logistic(std::span<const LogisticExample> examples, LogisticFit start) {
  const auto loss = [&](const LogisticFit& fit) {
    double sum = 0;
    for (const LogisticExample& e : examples) {
      const double s = (e.positive ? 1 : -1) * fit.logit(e.x);
      sum += e.weight * log_sigmoid_loss(s).loss;
    }
    return sum;
  };
  LogisticFit fit = start;
  constexpr int kMostSteps = 25, kMostHalvings = 30;
  for (int step = 0; step < kMostSteps; ++step) {
    double g_a = 0, g_b = 0, h_aa = 1e-9, h_ab = 0, h_bb = 1e-9;  // the ridge: where one x is all there is
    for (const LogisticExample& e : examples) {
      const double p = sigmoid_of(fit.logit(e.x)), off = e.weight * (p - (e.positive ? 1 : 0));
      const double h = e.weight * p * (1 - p);
      g_a += off * e.x, g_b += off;
      h_aa += h * e.x * e.x, h_ab += h * e.x, h_bb += h;
    }
    const double determinant = h_aa * h_bb - h_ab * h_ab, before = loss(fit);
    double d_a = (h_bb * g_a - h_ab * g_b) / determinant, d_b = (h_aa * g_b - h_ab * g_a) / determinant;
    const auto stepped = [&] { return LogisticFit{fit.slope - d_a, fit.intercept - d_b}; };
    for (int k = 0; k < kMostHalvings && !(loss(stepped()) <= before); ++k) d_a /= 2, d_b /= 2;
    fit = stepped();
    if (std::fabs(d_a) + std::fabs(d_b) < 1e-9) break;
  }
  return fit;
}

}  // namespace sllmr
