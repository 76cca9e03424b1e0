// Vectors of items and of users that training reads and never changes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/exec/matrix.h"
#include "models/features.h"

namespace sllmr {

/// One row an item, row 0 (padding) aside, on the host: [items + 1 x width], row-major.
struct ItemVectors {
  std::int64_t width = 0;
  std::shared_ptr<const std::vector<float>> values;

  /// Those of every item times `factor`; none of none.
  ItemVectors times(double factor) const;
};

/// The same on a device. No optimiser knows them and no checkpoint holds them; batches refer to them by the
/// ids of their items.
template <class Real>
class FrozenVectors {
 public:
  /// Throws Error unless the vectors are whole rows.
  FrozenVectors(const Context& context, const ItemVectors& vectors);

  std::int64_t width() const { return width_; }
  Matrix<const Real> rows() const {
    return {values_.data(), static_cast<std::int64_t>(values_.size()) / width_, width_};
  }
  /// The vector of each row's item, zero for a row without one, to out [batch.all_rows() x width()].
  void of_items(const Context& context, const FeatureBatch& batch, const Tensor<Real>& out) const;
  /// The mean of those of each row's history, zero for an empty one. The history is that of the batch's
  /// features: what came before the row.
  void of_histories(const Context& context, const FeatureBatch& batch, const Tensor<Real>& out) const;

 private:
  void means(const Context& context, const FeatureBatch& batch, Field field, const Tensor<Real>& out) const;

  std::int64_t width_;
  Buffer<Real> values_;
};

/// Vectors of users, on the host, for rows that have come far enough.
struct UserVectors {
  ItemVectors vectors;  // [users + 1 x width]
  /// [users + 1]: how many items the history of a row must have, for its user's vector to know nothing that
  /// the row is to foretell.
  std::shared_ptr<const std::vector<std::int32_t>> least;

  /// As ItemVectors::times().
  UserVectors times(double factor) const { return {vectors.times(factor), least}; }
};

/// The same on a device.
template <class Real>
class FrozenUserVectors {
 public:
  /// Throws Error unless they are whole rows with a `least` each.
  FrozenUserVectors(const Context& context, const UserVectors& users);

  std::int64_t width() const { return vectors_.width(); }
  /// The vector of each row's user replaces the row of out [batch.all_rows() x width()] where the history, as
  /// the batch has it, is long enough.
  void replace(const Context& context, const FeatureBatch& batch, const Tensor<Real>& out) const;

 private:
  FrozenVectors<Real> vectors_;
  Buffer<std::int32_t> least_;
};

extern template class FrozenVectors<float>;
extern template class FrozenUserVectors<float>;
extern template class FrozenUserVectors<double>;
extern template class FrozenVectors<double>;

}  // namespace sllmr
