// Forward-mode dual numbers: a value and its derivatives with respect to `N` parameters. Gating rules and
// objectives are written once as plain functions; calling them with duals gives the derivative, so nobody
// derives by hand.
#pragma once

#include "kernels/exec/math.h"

namespace sllmr {

template <class Scalar, int N>
struct Dual {
  Scalar value{};
  Scalar slope[N]{};

  Dual() = default;
  // Implicit, so that constants mix with duals in a formula.
  SLLMR_HD Dual(Scalar v) : value(v) {}  // NOLINT(google-explicit-constructor)

  /// f(this), given f and f' at the value.
  SLLMR_HD Dual chain(Scalar f, Scalar df) const {
    Dual out(f);
    for (int k = 0; k < N; ++k) out.slope[k] = df * slope[k];
    return out;
  }

  friend SLLMR_HD Dual operator+(const Dual& a, const Dual& b) {
    Dual out(a.value + b.value);
    for (int k = 0; k < N; ++k) out.slope[k] = a.slope[k] + b.slope[k];
    return out;
  }
  friend SLLMR_HD Dual operator-(const Dual& a, const Dual& b) {
    Dual out(a.value - b.value);
    for (int k = 0; k < N; ++k) out.slope[k] = a.slope[k] - b.slope[k];
    return out;
  }
  friend SLLMR_HD Dual operator*(const Dual& a, const Dual& b) {
    Dual out(a.value * b.value);
    for (int k = 0; k < N; ++k) out.slope[k] = a.slope[k] * b.value + a.value * b.slope[k];
    return out;
  }
  friend SLLMR_HD Dual operator/(const Dual& a, const Dual& b) {
    const Scalar inverse = Scalar(1) / b.value;
    Dual out(a.value * inverse);
    for (int k = 0; k < N; ++k) out.slope[k] = (a.slope[k] - out.value * b.slope[k]) * inverse;
    return out;
  }
  SLLMR_HD Dual operator-() const { return chain(-value, Scalar(-1)); }

  /// The smaller and the larger one, the first where they are the same; NaN stays NaN.
  friend SLLMR_HD Dual min(const Dual& a, const Dual& b) {
    return b.value < a.value || b.value != b.value ? b : a;
  }
  friend SLLMR_HD Dual max(const Dual& a, const Dual& b) {
    return b.value > a.value || b.value != b.value ? b : a;
  }
};

/// The number behind a Real: itself, or a dual's value.
SLLMR_HD inline float value_of(float x) {
  return x;
}
SLLMR_HD inline double value_of(double x) {
  return x;
}
template <class Scalar, int N>
SLLMR_HD Scalar value_of(const Dual<Scalar, N>& x) {
  return x.value;
}

SLLMR_HD inline float min(float a, float b) {
  return b < a || b != b ? b : a;
}
SLLMR_HD inline double min(double a, double b) {
  return b < a || b != b ? b : a;
}
SLLMR_HD inline float max(float a, float b) {
  return b > a || b != b ? b : a;
}
SLLMR_HD inline double max(double a, double b) {
  return b > a || b != b ? b : a;
}

SLLMR_HD inline float abs(float x) {
  return std::fabs(x);
}
SLLMR_HD inline double abs(double x) {
  return std::fabs(x);
}
/// Its slope at 0 is 0.
template <class Scalar, int N>
SLLMR_HD Dual<Scalar, N> abs(const Dual<Scalar, N>& x) {
  return x.chain(abs(x.value), x.value > 0 ? Scalar(1) : x.value < 0 ? Scalar(-1) : x.value);  // 0, or NaN
}

SLLMR_HD inline float exp(float x) {
  return exp_of(x);
}
SLLMR_HD inline double exp(double x) {
  return exp_of(x);
}
template <class Scalar, int N>
SLLMR_HD Dual<Scalar, N> exp(const Dual<Scalar, N>& x) {
  const Scalar e = exp_of(x.value);
  return x.chain(e, e);
}

SLLMR_HD inline float log(float x) {
  return std::log(x);
}
SLLMR_HD inline double log(double x) {
  return std::log(x);
}
template <class Scalar, int N>
SLLMR_HD Dual<Scalar, N> log(const Dual<Scalar, N>& x) {
  return x.chain(log(x.value), Scalar(1) / x.value);
}

SLLMR_HD inline float sigmoid(float x) {
  return sigmoid_of(x);
}
SLLMR_HD inline double sigmoid(double x) {
  return sigmoid_of(x);
}
template <class Scalar, int N>
SLLMR_HD Dual<Scalar, N> sigmoid(const Dual<Scalar, N>& x) {
  const Scalar s = sigmoid_of(x.value);
  return x.chain(s, s * (Scalar(1) - s));
}

SLLMR_HD inline float tanh(float x) {
  return tanh_of(x);
}
SLLMR_HD inline double tanh(double x) {
  return tanh_of(x);
}
template <class Scalar, int N>
SLLMR_HD Dual<Scalar, N> tanh(const Dual<Scalar, N>& x) {
  const Scalar t = tanh_of(x.value);
  return x.chain(t, Scalar(1) - t * t);
}

}  // namespace sllmr
