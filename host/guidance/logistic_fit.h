// Logistic regression on one number.
#pragma once

#include <span>

namespace sllmr {

/// sigmoid(slope x + intercept) is the probability of a positive.
struct LogisticFit {
  double slope = 0, intercept = 0;

  double logit(double x) const { return slope * x + intercept; }
};

struct LogisticExample {
  double x, weight;
  bool positive;
};

/// Of the greatest weighted likelihood: Newton's method, 25 steps from `start` at most, each halved while it
/// goes too far. Sums follow the order of the examples.
LogisticFit fit_logistic(std::span<const LogisticExample> examples, LogisticFit start = {});

}  // namespace sllmr
