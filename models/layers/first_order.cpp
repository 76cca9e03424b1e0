#include "models/layers/first_order.h"

#include "kernels/dense/combine.h"
#include "kernels/dense/row_sums.h"
#include "models/layers/shapes.h"

namespace sllmr {

template <class Real>
FirstOrder<Real>::FirstOrder(const Context& context, Parameters<Real>& parameters,
                             const BackboneOptions& options, const EmbeddingInitial& initial)
    : parameters_(&parameters),
      bias_(options.frozen_bias ? parameters.add_frozen("bias", {1}, Initial::normal(1))
                                : parameters.add("bias", {1}, Initial::constant(0))),
      embedding_(context, "first_order", 1, kFieldsUsed, options.table_rows, initial, options.seed,
                 options.shards) {}

template <class Real>
Tensor<Real> FirstOrder<Real>::forward(const Context& context, const FeatureBatch& batch) const {
  FeatureBatch own = batch;
  own.examples = {};  // which have no logits
  return embedding_.forward(context, own);
}

template <class Real>
void FirstOrder<Real>::backward(const Context& context, const FeatureBatch& batch,
                                const Tensor<Real>& d_out) {
  require_width("first_order", "output's gradient", d_out, 1);
  const Tensor<Real> d_all = with_zero_rows(context, d_out, batch.all_rows());
  for (const Field field : kFieldsUsed) embedding_.set_gradient(field, d_all);
  Real* d_bias = parameters_->gradient(bias_);
  if (d_bias != nullptr) run(context, SumRows<Real>{.x = d_out, .out = d_bias});
}

template class FirstOrder<float>;
template class FirstOrder<double>;

}  // namespace sllmr
