// Forward-mode dual numbers: a value and its derivatives with respect to `N` parameters. Gating rules and
// objectives are written once as plain functions; calling them with duals gives the derivative, so nobody
// derives by hand.
#pragma once

#include <cmath>
#include <concepts>

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

  // With constants: no slope, so that nothing is multiplied by 0.
  friend SLLMR_HD Dual operator+(const Dual& a, Scalar c) { return a.chain(a.value + c, Scalar(1)); }
  friend SLLMR_HD Dual operator+(Scalar c, const Dual& a) { return a.chain(c + a.value, Scalar(1)); }
  friend SLLMR_HD Dual operator-(const Dual& a, Scalar c) { return a.chain(a.value - c, Scalar(1)); }
  friend SLLMR_HD Dual operator-(Scalar c, const Dual& a) { return a.chain(c - a.value, Scalar(-1)); }
  friend SLLMR_HD Dual operator*(const Dual& a, Scalar c) { return a.chain(a.value * c, c); }
  friend SLLMR_HD Dual operator*(Scalar c, const Dual& a) { return a.chain(c * a.value, c); }

  /// The smaller and the larger one, the first where they are the same; NaN stays NaN.
  friend SLLMR_INLINE Dual min(const Dual& a, const Dual& b) {
    return select(b.value < a.value || b.value != b.value, b, a);
  }
  friend SLLMR_INLINE Dual max(const Dual& a, const Dual& b) {
    return select(b.value > a.value || b.value != b.value, b, a);
  }
  /// `a` if `first`, else `b`, number by number: a loop of such choices runs in vectors.
  friend SLLMR_INLINE Dual select(bool first, const Dual& a, const Dual& b) {
    Dual out(first ? a.value : b.value);
    for (int k = 0; k < N; ++k) out.slope[k] = first ? a.slope[k] : b.slope[k];
    return out;
  }
};
template <std::floating_point Scalar>
SLLMR_HD Scalar select(bool first, Scalar a, Scalar b) {
  return first ? a : b;
}

template <std::floating_point Scalar>
SLLMR_HD Scalar min(Scalar a, Scalar b) {
  return b < a || b != b ? b : a;
}
template <std::floating_point Scalar>
SLLMR_HD Scalar max(Scalar a, Scalar b) {
  return b > a || b != b ? b : a;
}

/// The number behind x, and f(x) given f and f' at it: of a number itself, and of a dual.
template <std::floating_point Scalar>
SLLMR_HD Scalar value_of(Scalar x) {
  return x;
}
template <class Scalar, int N>
SLLMR_HD Scalar value_of(const Dual<Scalar, N>& x) {
  return x.value;
}
template <std::floating_point Scalar>
SLLMR_HD Scalar chain(Scalar /*x*/, Scalar f, Scalar /*df*/) {
  return f;
}
template <class Scalar, int N>
SLLMR_HD Dual<Scalar, N> chain(const Dual<Scalar, N>& x, Scalar f, Scalar df) {
  return x.chain(f, df);
}

template <class Real>
concept GateReal = requires(const Real& x) {
  value_of(x);
};

/// Its slope at 0 is 0.
template <GateReal Real>
SLLMR_HD Real abs(const Real& x) {
  const auto v = value_of(x);
  decltype(v) one = 1;
  return chain(x, std::fabs(v), v > 0 ? one : v < 0 ? -one : v);  // 0, or NaN
}
template <GateReal Real>
SLLMR_HD Real exp(const Real& x) {
  const auto e = exp_of(value_of(x));
  return chain(x, e, e);
}
template <GateReal Real>
SLLMR_INLINE Real log(const Real& x) {
  const auto v = value_of(x);
  return chain(x, log_of(v), 1 / v);
}
/// Its slope at 0 is infinite.
template <GateReal Real>
SLLMR_HD Real sqrt(const Real& x) {
  const auto root = std::sqrt(value_of(x));
  return chain(x, root, decltype(root)(0.5F) / root);
}
template <GateReal Real>
SLLMR_HD Real sigmoid(const Real& x) {
  const auto s = sigmoid_of(value_of(x));
  return chain(x, s, s * (1 - s));
}
template <GateReal Real>
SLLMR_HD Real tanh(const Real& x) {
  const auto t = tanh_of(value_of(x));
  return chain(x, t, 1 - t * t);
}

}  // namespace sllmr
