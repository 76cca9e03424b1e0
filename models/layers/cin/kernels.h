// The steps of the compressed interaction network (xDeepFM: Lian et al., KDD 2018) around its matrix
// products. A tile is a few samples; its matrices are [channels x columns], one column for each dimension of
// each sample, so that all products of channels are products of long contiguous rows.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/exec/context.h"

namespace sllmr {

/// The products z of one layer, one row each: X_h * X0_m for every channel h of the layer below and every
/// field m. In the first layer X is X0 itself, and z_hm = z_mh is kept once, for h <= m. One more row, of
/// ones, makes the bias a column of the weights.
struct CinPairs {
  int hidden = 0, fields = 0;
  bool symmetric = false;

  SLLMR_HD constexpr int count() const { return symmetric ? fields * (fields + 1) / 2 : hidden * fields; }
  SLLMR_HD constexpr int first(int h) const { return symmetric ? h : 0; }
  /// The row of pair (h, m), m >= first(h).
  SLLMR_HD constexpr int row(int h, int m) const {
    return symmetric ? h * fields - h * (h - 1) / 2 + m - h : h * fields + m;
  }
  /// Distance between rows of packed weights: all pairs and the bias, to a multiple of 16 elements.
  SLLMR_HD constexpr int stride() const { return (count() + 1 + 15) / 16 * 16; }
};

/// Samples of `fields` vectors of `width`: field m of sample s begins at data + s * stride + m * width.
template <class Real>
struct CinSamples {
  Real* data = nullptr;
  std::int64_t stride = 0;
  std::int64_t samples = 0;
  int fields = 0, width = 0;
};

/// Which of a layer's `out` channels are pooled: those from `pooled_from` on, into columns first, first + 1,
/// ... of rows that are `stride` apart.
struct CinPool {
  int out = 0, pooled_from = 0;
  int first = 0;
  std::int64_t stride = 0;
};

template <class Real, class OnDevice>
void cin_load_on(OnDevice, const Context& context, const CinSamples<const Real>& x, Real* x0);
template <class Real, class OnDevice>
void cin_store_on(OnDevice, const Context& context, const Real* x0, const CinSamples<Real>& x);
template <class Real, class OnDevice>
void cin_products_on(OnDevice, const Context& context, const CinPairs& pairs, std::int64_t columns,
                     const Real* hidden, const Real* x0, Real* z);
template <class Real, class OnDevice>
void cin_products_backward_on(OnDevice, const Context& context, const CinPairs& pairs, std::int64_t columns,
                              const Real* hidden, const Real* x0, const Real* d_z, Real* d_hidden,
                              Real* d_x0);
template <class Real, class OnDevice>
void cin_activate_on(OnDevice, const Context& context, const CinPool& pool, std::int64_t samples, int width,
                     Real* y, Real* pooled);
template <class Real, class OnDevice>
void cin_activate_backward_on(OnDevice, const Context& context, const CinPool& pool, std::int64_t samples,
                              int width, const Real* y, const Real* d_pooled, const Real* d_hidden,
                              Real* d_y);
template <class Real, class OnDevice>
void cin_pack_weights_on(OnDevice, const Context& context, const CinPairs& pairs, int out, const Real* weight,
                         const Real* bias, Real* packed);
template <class Real, class OnDevice>
void cin_unpack_gradients_on(OnDevice, const Context& context, const CinPairs& pairs, int out, int parts,
                             std::int64_t part_stride, Real* d_packed, Real* d_weight, Real* d_bias);

/// x0 [fields x samples * width] from rows of samples.
template <class Real>
void cin_load(const Context& context, const CinSamples<const Real>& x, Real* x0) {
  on_device(context, [&](auto device) { cin_load_on(device, context, x, x0); });
}

/// The way back: rows of samples from x0.
template <class Real>
void cin_store(const Context& context, const Real* x0, const CinSamples<Real>& x) {
  on_device(context, [&](auto device) { cin_store_on(device, context, x0, x); });
}

/// z [count() + 1 x columns] from hidden [hidden x columns] and x0 [fields x columns]; the last row is ones.
template <class Real>
void cin_products(const Context& context, const CinPairs& pairs, std::int64_t columns, const Real* hidden,
                  const Real* x0, Real* z) {
  on_device(context, [&](auto device) { cin_products_on(device, context, pairs, columns, hidden, x0, z); });
}

/// The same products transposed, z [columns x stride()]: pairs, a one, zeros. On the CPU alone: small_gemm
/// wants them so, cuBLAS does not.
template <class Real>
void cin_products_by_column(const Context& context, const CinPairs& pairs, std::int64_t columns,
                            const Real* hidden, const Real* x0, Real* z);

/// What a tile takes of a layer on the CPU: the channels of the layer below that are not 0 in all of its
/// columns, and those of its own that have a gradient. A ReLU leaves few of them, and what is left out would
/// add zeros: the results have the same bits. NaN is not 0.
struct CinChannels {
  std::vector<int> hidden, out;
};

/// The rows of x [channels x columns] that are not 0 everywhere, replacing `active`.
template <class Real>
void cin_active_channels(int channels, std::int64_t columns, const Real* x, std::vector<int>& active);
/// rows [active x columns] of x, and back: x's other rows become 0.
template <class Real>
void cin_take_rows(const std::vector<int>& active, std::int64_t columns, const Real* x, Real* rows);
template <class Real>
void cin_put_rows(const std::vector<int>& active, int channels, std::int64_t columns, const Real* rows,
                  Real* x);
/// block [channels.out x stride of `channels`' pairs]: the packed weights [out x pairs.stride()] between
/// `channels`, with the bias; and back, leaving the others as they are. Symmetric pairs need all of
/// channels.hidden.
template <class Real>
void cin_take_weights(const CinPairs& pairs, const CinChannels& channels, const Real* packed, Real* block);
template <class Real>
void cin_put_weights(const CinPairs& pairs, const CinChannels& channels, const Real* block, Real* packed);

/// From d_z [count() x columns]: writes d_hidden [hidden x columns] and adds to d_x0 [fields x columns]. For
/// symmetric pairs everything is added to d_x0, and d_hidden is not used.
template <class Real>
void cin_products_backward(const Context& context, const CinPairs& pairs, std::int64_t columns,
                           const Real* hidden, const Real* x0, const Real* d_z, Real* d_hidden, Real* d_x0) {
  on_device(context, [&](auto device) {
    cin_products_backward_on(device, context, pairs, columns, hidden, x0, d_z, d_hidden, d_x0);
  });
}

/// y [out x samples * width] = max(y, 0); the sums of pooled channels over the dimensions go to `pooled`.
template <class Real>
void cin_activate(const Context& context, const CinPool& pool, std::int64_t samples, int width, Real* y,
                  Real* pooled) {
  on_device(context, [&](auto device) { cin_activate_on(device, context, pool, samples, width, y, pooled); });
}

/// d_y from y = forward's result: where y > 0, the gradient of the channel's sum if it is pooled, else that
/// of the layer above, d_hidden [pooled_from x samples * width].
template <class Real>
void cin_activate_backward(const Context& context, const CinPool& pool, std::int64_t samples, int width,
                           const Real* y, const Real* d_pooled, const Real* d_hidden, Real* d_y) {
  on_device(context, [&](auto device) {
    cin_activate_backward_on(device, context, pool, samples, width, y, d_pooled, d_hidden, d_y);
  });
}

/// packed [out x stride()]: a column for each pair (for symmetric pairs the sum of the two weights that meet
/// z_hm), then the bias. weight [out x hidden * fields], bias [out].
template <class Real>
void cin_pack_weights(const Context& context, const CinPairs& pairs, int out, const Real* weight,
                      const Real* bias, Real* packed) {
  on_device(context,
            [&](auto device) { cin_pack_weights_on(device, context, pairs, out, weight, bias, packed); });
}

/// d_weight and d_bias = the sums of the `parts` gradients of packed weights. The
/// sum is left in the first part; parts are `part_stride` elements apart.
template <class Real>
void cin_unpack_gradients(const Context& context, const CinPairs& pairs, int out, int parts,
                          std::int64_t part_stride, Real* d_packed, Real* d_weight, Real* d_bias) {
  on_device(context, [&](auto device) {
    cin_unpack_gradients_on(device, context, pairs, out, parts, part_stride, d_packed, d_weight, d_bias);
  });
}

}  // namespace sllmr
