// The text vector of the item as one more input: the baseline of every method that reads texts.
#pragma once

#include <memory>

#include "models/extra/extra_vector.h"
#include "models/layers/frozen_vectors/frozen_vectors.h"
#include "models/layers/linear.h"

namespace sllmr {

/// z = W v + b, v the frozen vector of the row's item; as wide as the fields' vectors. Parameters
/// "text.weight" {width, E} and "text.bias" {width}.
template <class Real>
class TextMap final : public ExtraVector<Real> {
 public:
  using BaseSaved = typename ExtraVector<Real>::Saved;

  TextMap(const Context& context, Parameters<Real>& parameters, int width, const ExtraSeat& seat,
          const ItemVectors& vectors);

  int width() const override { return static_cast<int>(map_.out()); }
  void forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
               const Tensor<Real>& fields, const Tensor<Real>& out,
               std::unique_ptr<BaseSaved>* saved) const override;
  void backward(const Context& context, const BaseSaved& saved, const Tensor<Real>& d_out,
                const Tensor<Real>& d_fields) const override;
  void of_side(const Context& context, const FeatureBatch& batch, Side side,
               const Tensor<Real>& out) const override;

 private:
  struct Saved final : BaseSaved {
    Tensor<Real> x;
  };

  FrozenVectors<Real> vectors_;
  Linear<Real> map_;
};

/// Of a model whose items have these vectors.
std::shared_ptr<const ExtraVectorMaker> text_map(const ItemVectors& vectors);

}  // namespace sllmr
