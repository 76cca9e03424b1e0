// The linear term of factorisation machines.
#pragma once

#include <array>

#include "models/backbone.h"

namespace sllmr {

/// y_r = b + the weights of the row's user, item and brand + the mean weight of its categories; no history.
/// Tables "first_order.user", ... of width 1, and "bias" {1}, which starts at 0 or, with
/// options.frozen_bias, is drawn from N(0, 1) and never trained.
template <class Real>
class FirstOrder {
 public:
  FirstOrder(const Context& context, Parameters<Real>& parameters, const BackboneOptions& options,
             const EmbeddingInitial& initial);

  /// The terms [batch.rows x 4], whose sum with the bias is y; the backbone sums them with the rest of its
  /// logit.
  Tensor<Real> forward(const Context& context, const FeatureBatch& batch) const;
  const Real* bias() const { return parameters_->value(bias_); }
  /// d_out [batch.rows x 1] is the gradient of y.
  void backward(const Context& context, const FeatureBatch& batch, const Tensor<Real>& d_out);

  Embedding<Real>& embedding() { return embedding_; }

 private:
  static constexpr std::array kFieldsUsed{Field::user, Field::item, Field::brand, Field::categories};

  const Parameters<Real>* parameters_;
  int bias_;
  Embedding<Real> embedding_;
};

extern template class FirstOrder<float>;
extern template class FirstOrder<double>;

}  // namespace sllmr
