// The attention unit of DIN (Zhou et al., KDD 2018) around its matrix products, for histories of any length:
// only real history items, "positions", are there.
//
// The unit maps [q; k; q - k; q * k] to a number, with W = [Wq Wk Wd Wp] (blocks of columns), then W1, w2:
//   a = w2 (W1 relu(W [q; k; q - k; q * k] + b) + b1) + b2.
// W [q; k; q - k; q * k] = (Wq + Wd) q + (Wk - Wd) k + Wp (q * k): q's part is the same for all positions of
// a row. There is no activation between W1 and w2, so a = v . relu(...) + c, v = W1^T w2 and c = w2 . b1 +
// b2.
#pragma once

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// Parameters of the unit, with T = const Real their values, with T = Real their gradients.
template <class T>
struct DinParameters {
  T* weight;   // [units x 4 * width], W
  T* bias;     // [units]
  T* weight1;  // [units1 x units]
  T* bias1;    // [units1]
  T* weight2;  // [units1]
  T* bias2;    // [1]
  int width, units, units1;
};

/// folded [units x 2 * width] = [Wq + Wd, Wk - Wd]; tail = [v, c].
template <class Real>
struct DinFold {
  DinParameters<const Real> of;
  Matrix<Real> folded;
  Real* tail;  // [units + 1]
};

/// products [positions x width] = the row's query [rows x width] * keys [positions x width].
template <class Real>
struct DinProducts {
  const std::int32_t* row_of_position;  // [positions]
  Matrix<const Real> query, keys;
  Matrix<Real> products;
};

/// hidden [positions x units], the part of keys and products, becomes relu(hidden + the row's of_query +
/// bias), of_query [rows x units]; weights [positions x 1] = v . hidden + c; out [rows x width] = sum of
/// weights * keys [positions x width].
template <class Real>
struct DinPool {
  const std::int64_t* first_position;  // [rows + 1]
  Matrix<const Real> of_query;
  const Real* bias;  // [units]
  const Real* tail;  // [units + 1]
  Matrix<const Real> keys;
  Matrix<Real> hidden, weights, out;
};

/// For ranking, one user's history against many items: scaled [positions * units x width] = Wp * k of every
/// position, k in keys [positions x width], so that its products with a query are Wp (q * k),
template <class Real>
struct DinScaleKeys {
  DinParameters<const Real> of;
  Matrix<const Real> keys;
  Matrix<Real> scaled;
};

/// and weights [rows x positions] = v . relu(products + of_query + of_keys) + c, with these products
/// [rows x positions * units], of_query [rows x units] and of_keys [positions x units], one of them with the
/// bias.
template <class Real>
struct DinRankWeights {
  Matrix<const Real> products, of_query, of_keys;
  const Real* tail;  // [units + 1]
  Matrix<Real> weights;
};

/// From d_out [rows x width] to d_weights [positions x 1], d_hidden [positions x units] (of the ReLU's input)
/// and its sums over each row's positions, d_of_query [rows x units]; keys and hidden are those of DinPool,
/// after it.
template <class Real>
struct DinPoolBackward {
  const std::int64_t* first_position;  // [rows + 1]
  const Real* tail;                    // [units + 1]
  Matrix<const Real> keys, hidden, d_out;
  Matrix<Real> d_weights, d_hidden, d_of_query;
};

/// Adds to d_keys [positions x width] and d_query [rows x width] what comes through the products and the
/// weighted sum; d_products [positions x width], the others as in DinProducts and DinPool.
template <class Real>
struct DinKeysBackward {
  const std::int64_t* first_position;  // [rows + 1]
  Matrix<const Real> query, keys, weights, d_out, d_products;
  Matrix<Real> d_query, d_keys;
};

/// Gradients of all parameters but Wp from those of the folded ones, d_folded and d_tail (of v). Those of c
/// and of the bias are the sums of d_weights [positions x 1] and of d_of_query [rows x units].
template <class Real>
struct DinUnfoldGradients {
  DinParameters<const Real> of;
  Matrix<const Real> d_folded, d_of_query, d_weights;
  const Real* d_tail;  // [units]
  DinParameters<Real> gradients;
};

}  // namespace sllmr
