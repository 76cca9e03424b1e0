#include "models/extra/text_map.h"

#include <utility>

namespace sllmr {

template <class Real>
TextMap<Real>::TextMap(const Context& context, Parameters<Real>& parameters, int width, const ExtraSeat&,
                       const ItemVectors& vectors)
    : vectors_(context, vectors), map_(parameters, "text", vectors.width, width, LinearInitial::standard) {}

template <class Real>
void TextMap<Real>::forward(const Context& context, const FeatureBatch& batch, const Pass&,
                            const Tensor<Real>&, const Tensor<Real>& out,
                            std::unique_ptr<BaseSaved>* saved) const {
  const Tensor<Real> x(context, batch.rows, vectors_.width());
  vectors_.of_items(context, batch, x);
  map_.forward_to(context, x, out);
  if (saved == nullptr) return;
  auto kept = std::make_unique<Saved>();
  kept->x = x;
  *saved = std::move(kept);
}

template <class Real>
void TextMap<Real>::backward(const Context& context, const BaseSaved& saved, const Tensor<Real>& d_out,
                             const Tensor<Real>&) const {
  map_.backward_of_frozen(context, static_cast<const Saved&>(saved).x, d_out);
}

template <class Real>
void TextMap<Real>::of_side(const Context& context, const FeatureBatch& batch, Side side,
                            const Tensor<Real>& out) const {
  if (side == Side::item) forward(context, batch, Pass{}, {}, out, nullptr);
}

template class TextMap<float>;
template class TextMap<double>;

std::shared_ptr<const ExtraVectorMaker> text_map(const ItemVectors& vectors) {
  return std::make_shared<ExtraVectorMakerOf<TextMap, ItemVectors>>(vectors);
}

}  // namespace sllmr
