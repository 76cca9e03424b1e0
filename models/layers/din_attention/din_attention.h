// The attention unit of DIN: a weighted sum of the history.
#pragma once

#include <array>
#include <string>

#include "kernels/exec/tensor.h"
#include "models/features.h"
#include "models/layers/din_attention/kernels.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// r = sum over the row's history of a_t k_t with a_t = L2(L1(relu(L0([q; k_t; q - k_t; q * k_t])))): affine
/// maps, no activation behind L1 and no softmax (Zhou et al., KDD 2018, in LLM-CF's form). A row without
/// history gets r = 0. models/layers/din_attention/kernels.h has the algebra that it is computed by.
template <class Real>
class DinAttention {
 public:
  /// What DinFold makes of the parameters, or gradients.
  struct Folded {
    Tensor<Real> weight;  // [units[0] x 2 * width]
    Tensor<Real> tail;    // [1 x units[0] + 1]; the gradient, [1 x units[0]], is that of v alone

    Tensor<Real> of_query() const { return weight.columns(0, weight.cols() / 2); }
    Tensor<Real> of_keys() const { return weight.columns(weight.cols() / 2, weight.cols() / 2); }
  };
  struct Saved {
    Tensor<Real> query, keys;
    Folded folded;
    Tensor<Real> products, hidden, weights;
  };

  /// Adds "<name>.0.weight" {units[0], 4 * width}, "<name>.1.weight" {units[1], units[0]}, "<name>.2.weight"
  /// {1, units[1]}, each from N(0, 2 / (in + out)), and their biases, which start at 0. Throws Error for an
  /// extent below 1.
  DinAttention(Parameters<Real>& parameters, const std::string& name, int width, std::array<int, 2> units);

  /// Writes r to out [batch.rows x width] from query [batch.rows x width] and keys [batch.own_positions() x
  /// width]; each may be a slice of columns. Throws Error unless batch.sequence. `saved` may be null. What
  /// comes of the keys alone is computed once for twins (FeatureBatch::twin_positions), whose keys must be
  /// equal.
  void forward(const Context& context, const FeatureBatch& batch, const Tensor<Real>& query,
               const Tensor<Real>& keys, const Tensor<Real>& out, Saved* saved) const;
  /// Gradients of the parameters; returns that of the keys, and adds the query's to d_query, where other
  /// parts of the model have put theirs. Of twins' keys only the sum of both gradients is that of the key.
  Tensor<Real> backward(const Context& context, const FeatureBatch& batch, const Saved& saved,
                        const Tensor<Real>& d_out, const Tensor<Real>& d_query) const;

  /// For ranking: the parts of the unit that know the query or the history alone.
  struct QuerySide {
    Tensor<Real> query;   // [items x width]
    Tensor<Real> hidden;  // [items x units[0]], with the bias

    QuerySide row_range(std::int64_t first, std::int64_t count) const {
      return {query.row_range(first, count), hidden.row_range(first, count)};
    }
  };
  struct KeySide {
    Tensor<Real> hidden;  // [positions x units[0]]
    Tensor<Real> scaled;  // [positions * units[0] x width], see DinScaleKeys
    Tensor<Real> tail;    // [1 x units[0] + 1]
  };
  QuerySide query_side(const Context& context, const Tensor<Real>& query) const;
  KeySide key_side(const Context& context, const Tensor<Real>& keys) const;
  /// a [items x positions]: the weight of every one of a user's positions, `first` .. first + count - 1 of
  /// the keys, count > 0, for every one of the items.
  Tensor<Real> weights(const Context& context, const QuerySide& items, const KeySide& keys,
                       std::int64_t first, std::int64_t count) const;

 private:
  template <class T, class PointerTo>
  DinParameters<T> parts(const PointerTo& pointer_to) const;
  DinParameters<const Real> values() const;
  DinParameters<Real> gradients() const;
  Folded fold(const Context& context) const;
  /// The first layer's columns for q * k.
  Matrix<Real> of_products(const Matrix<Real>& weight) const {
    return weight.columns(3 * std::int64_t{width_}, width_);
  }

  std::string name_;
  const Parameters<Real>* parameters_;
  int width_;
  std::array<int, 2> units_;
  std::array<int, 3> weights_, biases_;  // parts
};

extern template class DinAttention<float>;
extern template class DinAttention<double>;

}  // namespace sllmr
