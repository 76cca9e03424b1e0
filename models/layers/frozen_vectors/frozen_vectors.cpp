#include "models/layers/frozen_vectors/frozen_vectors.h"

#include <span>
#include <utility>

#include "models/layers/frozen_vectors/kernels.h"
#include "models/layers/shapes.h"

namespace sllmr {

ItemVectors ItemVectors::times(double factor) const {
  if (factor == 1 || values == nullptr) return *this;
  auto scaled = std::make_shared<std::vector<float>>(*values);
  for (float& x : *scaled) x *= static_cast<float>(factor);
  return {width, std::move(scaled)};
}

template <class Real>
FrozenVectors<Real>::FrozenVectors(const Context& context, const ItemVectors& vectors)
    : width_(vectors.width) {
  require(width_ >= 1 && vectors.values != nullptr && !vectors.values->empty() &&
              static_cast<std::int64_t>(vectors.values->size()) % width_ == 0,
          "FrozenVectors: the vectors must be whole rows of a width of at least 1");
  const std::vector<Real> values(vectors.values->begin(), vectors.values->end());
  values_ = Buffer<Real>(context, std::span<const Real>(values));
}

template <class Real>
void FrozenVectors<Real>::of_items(const Context& context, const FeatureBatch& batch,
                                   const Tensor<Real>& out) const {
  means(context, batch, Field::item, out);
}

template <class Real>
void FrozenVectors<Real>::of_histories(const Context& context, const FeatureBatch& batch,
                                       const Tensor<Real>& out) const {
  means(context, batch, Field::history_items, out);
}

template <class Real>
void FrozenVectors<Real>::means(const Context& context, const FeatureBatch& batch, Field field,
                                const Tensor<Real>& out) const {
  require_shape("frozen vectors", "result", out, batch.all_rows(), width_);
  const bool by_position = batch.sequence && is_history(field);
  run(context, VectorMeans<Real>{.table = rows(),
                                 .bags = batch.fields[static_cast<std::size_t>(field)],
                                 .first_position = by_position ? batch.first_position : nullptr,
                                 .out = out});
}

template class FrozenVectors<float>;
template class FrozenVectors<double>;

}  // namespace sllmr
