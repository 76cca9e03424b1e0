#include "models/layers/cin/cin.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/exec/gemm.h"
#include "kernels/exec/tiles.h"
#include "models/layers/cin/active_channels.h"
#include "models/layers/shapes.h"

namespace sllmr {

namespace {

// Columns of a tile. On the CPU its products (350 rows in LLM-CF's setting) stay in a core's cache, and a
// tile is the two rows of a pair where fields are 32 wide; on CUDA they bound the memory that large batches
// take.
constexpr std::int64_t kCpuColumns = 64, kCudaColumns = 1 << 15;
// Gradients of weights are summed in this many parts at most, so that threads need not wait for each other;
// the parts do not depend on the number of threads.
constexpr std::int64_t kParts = 8;

bool on_cpu(const Context& context) {
  return context.device() == Device::cpu;
}

/// A batch cut into tiles of whole samples.
struct Tiling {
  Tiling(const Context& context, std::int64_t n, int width)
      : samples(n),
        tile(std::clamp<std::int64_t>((on_cpu(context) ? kCpuColumns : kCudaColumns) / width, 1,
                                      std::max<std::int64_t>(1, n))) {}
  std::int64_t tiles() const { return (samples + tile - 1) / tile; }
  std::int64_t first(std::int64_t t) const { return t * tile; }
  std::int64_t size(std::int64_t t) const { return std::min(tile, samples - first(t)); }

  std::int64_t samples, tile;
};

/// The tiles whose rows have a gradient. On the CPU, where it costs nothing to look: the rows of a probe
/// pair, and of a pair that is as far apart as it should be, have none.
template <class Real>
std::vector<std::int64_t> tiles_with_gradient(const Context& context, const Tiling& tiling,
                                              const Tensor<Real>& d_out) {
  const auto has_gradient = [&](std::int64_t tile) {
    for (std::int64_t row = tiling.first(tile); row < tiling.first(tile) + tiling.size(tile); ++row) {
      const Real* d = d_out.data() + row * d_out.stride();
      if (std::any_of(d, d + d_out.cols(), [](Real g) { return g != 0; })) return true;  // a NaN, too
    }
    return false;
  };
  std::vector<std::int64_t> tiles;
  for (std::int64_t tile = 0; tile < tiling.tiles(); ++tile) {
    if (!on_cpu(context) || has_gradient(tile)) tiles.push_back(tile);
  }
  return tiles;
}

/// y [out x columns] = packed z; `active` is null on CUDA.
template <class Real>
void weigh(const Context& context, const CinTile<Real>& tile, CinActiveChannels<Real>* active,
           const Matrix<Real>& y) {
  if (active != nullptr) return active->forward(context, tile, y);
  run(context,
      CinProducts<Real>{.pairs = tile.pairs, .hidden = tile.hidden, .x0 = tile.x0, .z = tile.products()});
  multiply(context, tile.weights(), tile.products(), y);
}

/// Backward of weigh() from d_y: adds to d_packed and d_x0, writes d_hidden unless the pairs are symmetric.
template <class Real>
void weigh_backward(const Context& context, const CinTile<Real>& tile, CinActiveChannels<Real>* active,
                    const Matrix<const Real>& d_y, const Matrix<Real>& d_packed, const Matrix<Real>& d_hidden,
                    const Matrix<Real>& d_x0) {
  if (active != nullptr) return active->backward(context, tile, d_y, d_packed, d_hidden, d_x0);
  const int count = tile.pairs.count();
  const Matrix<Real> z = tile.products(), d_z = z.row_range(0, count);
  run(context, CinProducts<Real>{.pairs = tile.pairs, .hidden = tile.hidden, .x0 = tile.x0, .z = z});
  multiply_add(context, d_y, transposed(z), d_packed.columns(0, count + 1));
  multiply(context, transposed(tile.packed.columns(0, count)), d_y, d_z);
  run(context, CinProductsBackward<Real>{.pairs = tile.pairs,
                                         .hidden = tile.hidden,
                                         .x0 = tile.x0,
                                         .d_z = d_z,
                                         .d_hidden = d_hidden,
                                         .d_x0 = d_x0});
}

}  // namespace

template <class Real>
Cin<Real>::Cin(Parameters<Real>& parameters, const std::string& name, int fields, int width,
               const std::vector<int>& sizes)
    : name_(name), parameters_(&parameters), fields_(fields), width_(width) {
  require(fields > 0 && width > 0, "layer '" + name + "': fields and width must be at least 1");
  require(!sizes.empty(), "layer '" + name + "': at least one layer is needed");
  int hidden = fields;
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    const int out = sizes[k];
    const bool last = k + 1 == sizes.size();
    require(out > 0, "layer '" + name + "': every layer needs at least one channel");
    require(last || out % 2 == 0,
            "layer '" + name + "': " + std::to_string(out) +
                " channels cannot be split into halves: all layers but the last need an even number");
    const std::int64_t in = static_cast<std::int64_t>(hidden) * fields;
    const auto fan_in = static_cast<double>(in);
    const std::string of_layer = name + "." + std::to_string(k);
    Layer layer;
    layer.weight =
        parameters.add(of_layer + ".weight", {out, in}, Initial::normal(std::sqrt(2 / (fan_in + out))));
    layer.bias = parameters.add(of_layer + ".bias", {out}, Initial::uniform(1 / std::sqrt(fan_in)));
    layer.pairs = {hidden, fields, k == 0};
    layer.out = out;
    layer.pooled_from = last ? 0 : out / 2;
    layer.first_channel = channels_;
    layer.first_output = outputs_;
    layer.first_weight = packed_size_;
    layers_.push_back(layer);
    outputs_ += out - layer.pooled_from;
    channels_ += out;
    packed_size_ += out * layer.pairs.stride();
    max_stride_ = std::max(max_stride_, layer.pairs.stride());
    max_channels_ = std::max({max_channels_, out, hidden});
    hidden = layer.pooled_from;
  }
}

template <class Real>
Tensor<Real> Cin<Real>::forward(const Context& context, const Tensor<Real>& x, const Pass&,
                                Saved* saved) const {
  require_width(name_, "input", x, static_cast<std::int64_t>(fields_) * width_);
  const std::int64_t n = x.rows();
  const Tiling tiling(context, n, width_);
  const std::int64_t columns = tiling.tile * width_;
  const int workers = tile_workers(context);

  std::vector<Tensor<Real>> packed;
  for (const Layer& layer : layers_) {
    packed.emplace_back(context, layer.out, layer.pairs.stride());
    run(context, CinPackWeights<Real>{.pairs = layer.pairs,
                                      .weight = parameters_->matrix(layer.weight),
                                      .bias = parameters_->value(layer.bias),
                                      .packed = packed.back()});
  }
  const Tensor<Real> out(context, n, outputs_);
  const bool cpu = on_cpu(context);
  const Tensor<Real> scratch(
      context, workers,
      (fields_ + max_stride_) * columns +
          (cpu ? CinActiveChannels<Real>::size(columns, max_channels_, max_stride_) : 0));
  const Tensor<Real> y(context, saved != nullptr ? n : workers * tiling.tile,
                       static_cast<std::int64_t>(channels_) * width_);
  const Matrix<const Real> samples = x;
  const Matrix<Real> outputs = out;

  for_tiles(context, tiling.tiles(), [&](std::int64_t tile, int worker) {
    const std::int64_t first = tiling.first(tile), size = tiling.size(tile), c = size * width_;
    const Matrix<Real> x0(scratch.data() + worker * scratch.stride(), fields_, c);
    Real* z = x0.data + fields_ * columns;
    std::optional<CinActiveChannels<Real>> active;
    if (cpu) active.emplace(z + max_stride_ * columns, columns, max_channels_, max_stride_);
    const std::int64_t first_y = saved != nullptr ? first : worker * tiling.tile;
    const Matrix<Real> channels(y.data() + first_y * y.stride(), channels_, c);
    const Matrix<Real> pooled = outputs.row_range(first, size);
    run(context, CinLoad<Real>{.x = samples.row_range(first, size), .width = width_, .x0 = x0});
    Matrix<const Real> hidden = x0;
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      const Layer& layer = layers_[k];
      const Matrix<Real> y_k = channels.row_range(layer.first_channel, layer.out);
      weigh(context,
            CinTile<Real>{.pairs = layer.pairs, .hidden = hidden, .x0 = x0, .packed = packed[k], .z = z},
            active ? &*active : nullptr, y_k);
      run(context,
          CinActivate<Real>{.pooled_from = layer.pooled_from,
                            .width = width_,
                            .y = y_k,
                            .pooled = pooled.columns(layer.first_output, layer.out - layer.pooled_from)});
      hidden = y_k.row_range(0, layer.pooled_from);
    }
  });
  if (saved != nullptr) *saved = {x, y, std::move(packed)};
  return out;
}

template <class Real>
Tensor<Real> Cin<Real>::backward(const Context& context, const Saved& saved,
                                 const Tensor<Real>& d_out) const {
  const Tensor<Real>& x = saved.x;
  const std::int64_t n = x.rows();
  require_shape(name_, "output's gradient", d_out, n, outputs_);
  const Tiling tiling(context, n, width_);
  const std::int64_t columns = tiling.tile * width_;
  const std::vector<std::int64_t> tiles = tiles_with_gradient(context, tiling, d_out);
  const auto n_tiles = static_cast<std::int64_t>(tiles.size());
  const bool cpu = on_cpu(context);
  const std::int64_t parts = cpu ? std::clamp<std::int64_t>(n_tiles, 1, kParts) : 1;

  const bool all = n_tiles == tiling.tiles();
  const auto d_x = all ? Tensor<Real>(context, n, x.cols()) : Tensor<Real>::zeros(context, n, x.cols());
  const Tensor<Real> scratch(
      context, tile_workers(context),
      (2 * fields_ + max_stride_ + 2 * max_channels_) * columns +
          (cpu ? CinActiveChannels<Real>::size(columns, max_channels_, max_stride_) : 0));
  const Tensor<Real> d_packed(context, parts, packed_size_);
  const Matrix<const Real> samples = x, d_outputs = d_out;
  const Matrix<Real> d_samples = d_x, d_weights = d_packed;

  for_tiles(context, parts, [&](std::int64_t part, int worker) {
    Real* x0_data = scratch.data() + worker * scratch.stride();
    Real* d_x0_data = x0_data + fields_ * columns;
    Real* z = d_x0_data + fields_ * columns;
    Real* d_y_data = z + max_stride_ * columns;
    Real* d_hidden_data = d_y_data + max_channels_ * columns;
    std::optional<CinActiveChannels<Real>> active;
    if (cpu) active.emplace(d_hidden_data + max_channels_ * columns, columns, max_channels_, max_stride_);
    const std::int64_t begin = part * n_tiles / parts, end = (part + 1) * n_tiles / parts;
    fill_zero(context, d_weights.row(part), static_cast<std::size_t>(packed_size_) * sizeof(Real));
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t tile = tiles[static_cast<std::size_t>(at)];
      const std::int64_t first = tiling.first(tile), size = tiling.size(tile), c = size * width_;
      const Matrix<Real> x0(x0_data, fields_, c), d_x0(d_x0_data, fields_, c);
      run(context, CinLoad<Real>{.x = samples.row_range(first, size), .width = width_, .x0 = x0});
      fill_zero(context, d_x0.data, static_cast<std::size_t>(fields_ * c) * sizeof(Real));
      const Matrix<const Real> y(saved.y.data() + first * saved.y.stride(), channels_, c);
      const Matrix<const Real> d_pooled = d_outputs.row_range(first, size);
      for (std::size_t k = layers_.size(); k-- > 0;) {
        const Layer& layer = layers_[k];
        const Matrix<Real> d_y(d_y_data, layer.out, c);
        run(context, CinActivateBackward<Real>{
                         .pooled_from = layer.pooled_from,
                         .width = width_,
                         .y = y.row_range(layer.first_channel, layer.out),
                         .d_pooled = d_pooled.columns(layer.first_output, layer.out - layer.pooled_from),
                         .d_hidden = {d_hidden_data, layer.pooled_from, c},
                         .d_y = d_y});
        const CinTile<Real> of_layer{
            .pairs = layer.pairs,
            .hidden = k == 0 ? Matrix<const Real>(x0)
                             : y.row_range(layers_[k - 1].first_channel, layer.pairs.hidden),
            .x0 = x0,
            .packed = saved.packed[k],
            .z = z};
        weigh_backward<Real>(context, of_layer, active ? &*active : nullptr, d_y,
                             {d_weights.row(part) + layer.first_weight, layer.out, layer.pairs.stride()},
                             {d_hidden_data, layer.pairs.hidden, c}, d_x0);
      }
      run(context, CinStore<Real>{.x0 = d_x0, .width = width_, .x = d_samples.row_range(first, size)});
    }
  });

  for (const Layer& layer : layers_) {
    run(context, CinUnpackGradients<Real>{
                     .pairs = layer.pairs,
                     .d_packed = d_weights.columns(layer.first_weight, layer.out * layer.pairs.stride()),
                     .d_weight = parameters_->gradient_matrix(layer.weight),
                     .d_bias = parameters_->gradient(layer.bias)});
  }
  return d_x;
}

template class Cin<float>;
template class Cin<double>;

}  // namespace sllmr
