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

template <class Real>
FrozenUserVectors<Real>::FrozenUserVectors(const Context& context, const UserVectors& users)
    : vectors_(context, users.vectors) {
  require(users.least != nullptr && std::ssize(*users.least) == vectors_.rows().rows,
          "FrozenUserVectors: every vector needs the least length of a history");
  least_ = Buffer<std::int32_t>(context, std::span<const std::int32_t>(*users.least));
}

template <class Real>
void FrozenUserVectors<Real>::replace(const Context& context, const FeatureBatch& batch,
                                      const Tensor<Real>& out) const {
  require_shape("frozen user vectors", "result", out, batch.all_rows(), width());
  const auto of = [&](Field field) { return batch.fields[static_cast<std::size_t>(field)]; };
  run(context, UserVectorRows<Real>{.table = vectors_.rows(),
                                    .least = least_.data(),
                                    .users = of(Field::user),
                                    .histories = of(Field::history_items),
                                    .first_position = batch.sequence ? batch.first_position : nullptr,
                                    .out = out});
}

template class FrozenVectors<float>;
template class FrozenVectors<double>;
template class FrozenUserVectors<float>;
template class FrozenUserVectors<double>;

}  // namespace sllmr
