// The products of a layer of the compressed interaction network as a tile of the CPU computes them: without
// the channels that are 0.
#pragma once

#include <cstdint>
#include <vector>

#include "models/layers/cin/kernels.h"

namespace sllmr {

/// A layer's products with one tile, y [out x columns] = packed z.
template <class Real>
struct CinTile {
  CinPairs pairs;
  Matrix<const Real> hidden;  // [hidden x columns]
  Matrix<const Real> x0;      // [fields x columns]
  Matrix<const Real> packed;  // [out x stride()]
  Real* z;                    // scratch of columns * stride() elements

  /// z with its row of ones [count() + 1 x columns], and the weights of these rows.
  Matrix<Real> products() const { return {z, pairs.count() + 1, x0.cols}; }
  Matrix<const Real> weights() const { return packed.columns(0, pairs.count() + 1); }
};

/// What a tile takes of a layer on the CPU: the channels of the layer below that are not 0 in all of its
/// columns, and those of its own that have a gradient. A ReLU leaves few of them, and what is left out would
/// add zeros: the results have the same bits. NaN is not 0.
template <class Real>
class CinActiveChannels {
 public:
  /// Elements of scratch for tiles of `columns`, layers of `most` channels and `stride` weights a channel.
  static std::int64_t size(std::int64_t columns, int most, int stride) {
    return 3 * most * columns + 2 * static_cast<std::int64_t>(most) * stride;
  }
  CinActiveChannels(Real* scratch, std::int64_t columns, int most, int stride)
      : hidden_rows_(scratch),
        d_hidden_rows_(hidden_rows_ + most * columns),
        d_y_rows_(d_hidden_rows_ + most * columns),
        weights_(d_y_rows_ + most * columns),
        d_weights_(weights_ + static_cast<std::int64_t>(most) * stride) {}

  /// y [out x columns] = packed z.
  void forward(const Context& context, const CinTile<Real>& tile, const Matrix<Real>& y);
  /// Backward of forward() from d_y [out x columns]: adds to d_packed [out x stride()] and d_x0 [fields x
  /// columns], writes d_hidden [hidden x columns] unless the pairs are symmetric.
  void backward(const Context& context, const CinTile<Real>& tile, const Matrix<const Real>& d_y,
                const Matrix<Real>& d_packed, const Matrix<Real>& d_hidden, const Matrix<Real>& d_x0);

 private:
  /// Finds hidden_; symmetric pairs take all. Returns the pairs of these.
  CinPairs find_hidden(const CinTile<Real>& tile);
  Matrix<Real> take_weights(const CinPairs& pairs, const Matrix<const Real>& packed, Real* to) const;
  void put_weights(const CinPairs& pairs, const Matrix<const Real>& block, const Matrix<Real>& packed) const;
  template <class Copy>
  void for_each_run(const CinPairs& pairs, const Copy& copy) const;

  std::vector<int> hidden_, out_;
  Real *hidden_rows_, *d_hidden_rows_;  // [hidden_ x columns]
  Real* d_y_rows_;                      // [out_ x columns]
  Real *weights_, *d_weights_;          // [out_ x stride()]
};

extern template class CinActiveChannels<float>;
extern template class CinActiveChannels<double>;

}  // namespace sllmr
