#include "models/layers/cin/cin.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "kernels/exec/gemm.h"
#include "kernels/exec/small_gemm.h"
#include "kernels/exec/tiles.h"
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

/// Where a tile of the CPU keeps what it takes of a layer.
template <class Real>
struct Taken {
  CinChannels channels;
  Real *hidden, *d_hidden;    // [channels.hidden x columns]
  Real* d_y;                  // [channels.out x columns]
  Real *weights, *d_weights;  // [channels.out x stride()]

  /// Elements of scratch for tiles of `columns`, layers of `most` channels and `stride` weights a channel.
  static std::int64_t size(std::int64_t columns, int most, int stride) {
    return 3 * most * columns + 2 * static_cast<std::int64_t>(most) * stride;
  }
  Taken(Real* scratch, std::int64_t columns, int most, int stride)
      : hidden(scratch),
        d_hidden(hidden + most * columns),
        d_y(d_hidden + most * columns),
        weights(d_y + most * columns),
        d_weights(weights + static_cast<std::int64_t>(most) * stride) {}

  /// Finds the layer's active channels below it; symmetric pairs take all.
  void find_hidden(const CinPairs& pairs, std::int64_t columns, const Real* from) {
    if (pairs.symmetric) {
      all(pairs.hidden, channels.hidden);
    } else {
      cin_active_channels(pairs.hidden, columns, from, channels.hidden);
    }
  }
  static void all(int n, std::vector<int>& list) {
    list.resize(static_cast<std::size_t>(n));
    std::iota(list.begin(), list.end(), 0);
  }
  CinPairs pairs(const CinPairs& of) const {
    return {static_cast<int>(channels.hidden.size()), of.fields, of.symmetric};
  }
};

/// y [out x columns] = W * z on the CPU, of the channels below that are active.
template <class Real>
void weigh_active(const Context& context, const CinPairs& pairs, int out, std::int64_t columns,
                  const Real* hidden, const Real* x0, const Real* packed, Real* z, Taken<Real>& taken,
                  Real* y) {
  taken.find_hidden(pairs, columns, hidden);
  const CinPairs few = taken.pairs(pairs);
  if (few.hidden < pairs.hidden) {
    taken.all(out, taken.channels.out);
    cin_take_rows(taken.channels.hidden, columns, hidden, taken.hidden);
    cin_take_weights(pairs, taken.channels, packed, taken.weights);
    hidden = taken.hidden;
    packed = taken.weights;
  }
  cin_products(context, few, columns, hidden, x0, z);
  small_gemm(out, columns, few.count() + 1, {packed, few.stride()}, z, columns, false, y, columns);
}

/// The way back of weigh_active() and the products, from d_y [out x columns]: adds to d_packed and d_x0,
/// writes d_hidden. z is scratch of columns * stride() elements.
template <class Real>
void weigh_active_backward(const Context& context, const CinPairs& pairs, int out, std::int64_t columns,
                           const Real* hidden, const Real* x0, const Real* packed, const Real* d_y, Real* z,
                           Taken<Real>& taken, Real* d_packed, Real* d_hidden, Real* d_x0) {
  CinChannels& channels = taken.channels;
  taken.find_hidden(pairs, columns, hidden);
  cin_active_channels(out, columns, d_y, channels.out);
  const CinPairs few = taken.pairs(pairs);
  const auto n_out = static_cast<std::int64_t>(channels.out.size());
  const int stride = few.stride();
  cin_take_rows(channels.out, columns, d_y, taken.d_y);
  cin_take_rows(channels.hidden, columns, hidden, taken.hidden);
  cin_take_weights(pairs, channels, packed, taken.weights);
  cin_take_weights(pairs, channels, d_packed, taken.d_weights);

  cin_products_by_column(context, few, columns, taken.hidden, x0, z);
  small_gemm(n_out, stride, columns, {taken.d_y, columns}, z, stride, true, taken.d_weights, stride);
  cin_put_weights(pairs, channels, taken.d_weights, d_packed);
  small_gemm(few.count(), columns, n_out, {taken.weights, stride, true}, taken.d_y, columns, false, z,
             columns);
  cin_products_backward(context, few, columns, taken.hidden, x0, z, taken.d_hidden, d_x0);
  if (!pairs.symmetric) cin_put_rows(channels.hidden, pairs.hidden, columns, taken.d_hidden, d_hidden);
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
    layer.pool = {out, last ? 0 : out / 2, outputs_, 0};
    layers_.push_back(layer);
    outputs_ += out - layer.pool.pooled_from;
    channels_ += out;
    max_stride_ = std::max(max_stride_, layer.pairs.stride());
    max_channels_ = std::max({max_channels_, out, hidden});
    hidden = layer.pool.pooled_from;
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
    packed.emplace_back(context, layer.pool.out, layer.pairs.stride());
    cin_pack_weights(context, layer.pairs, layer.pool.out, parameters_->value(layer.weight),
                     parameters_->value(layer.bias), packed.back().data());
  }
  const Tensor<Real> out(context, n, outputs_);
  const bool cpu = on_cpu(context);
  const Tensor<Real> scratch(
      context, workers,
      (fields_ + max_stride_) * columns + (cpu ? Taken<Real>::size(columns, max_channels_, max_stride_) : 0));
  const Tensor<Real> y(context, saved != nullptr ? n : workers * tiling.tile,
                       static_cast<std::int64_t>(channels_) * width_);

  for_tiles(context, tiling.tiles(), [&](std::int64_t tile, int worker) {
    const std::int64_t first = tiling.first(tile), samples = tiling.size(tile), c = samples * width_;
    Real* x0 = scratch.data() + worker * scratch.stride();
    Real* z = x0 + fields_ * columns;
    std::optional<Taken<Real>> taken;
    if (cpu) taken.emplace(z + max_stride_ * columns, columns, max_channels_, max_stride_);
    Real* y_k = y.data() + (saved != nullptr ? first : worker * tiling.tile) * y.stride();
    const Real* hidden = x0;
    cin_load(context, {x.data() + first * x.stride(), x.stride(), samples, fields_, width_}, x0);
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      const CinPairs& pairs = layers_[k].pairs;
      CinPool pool = layers_[k].pool;
      pool.stride = out.stride();
      if (cpu) {
        weigh_active(context, pairs, pool.out, c, hidden, x0, packed[k].data(), z, *taken, y_k);
      } else {
        cin_products(context, pairs, c, hidden, x0, z);
        gemm(context, Transpose::no, Transpose::no, pool.out, c, pairs.count() + 1, Real(1), packed[k].data(),
             pairs.stride(), z, c, Real(0), y_k, c);
      }
      cin_activate(context, pool, samples, width_, y_k, out.data() + first * out.stride());
      hidden = y_k;
      y_k += pool.out * c;
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

  std::int64_t packed_size = 0;
  for (const Layer& layer : layers_) packed_size += layer.pool.out * layer.pairs.stride();
  const bool all = n_tiles == tiling.tiles();
  const auto d_x = all ? Tensor<Real>(context, n, x.cols()) : Tensor<Real>::zeros(context, n, x.cols());
  const Tensor<Real> scratch(context, tile_workers(context),
                             (2 * fields_ + max_stride_ + 2 * max_channels_) * columns +
                                 (cpu ? Taken<Real>::size(columns, max_channels_, max_stride_) : 0));
  const Tensor<Real> d_packed(context, parts, packed_size);

  for_tiles(context, parts, [&](std::int64_t part, int worker) {
    Real* x0 = scratch.data() + worker * scratch.stride();
    Real* d_x0 = x0 + fields_ * columns;
    Real* z = d_x0 + fields_ * columns;
    Real* d_y = z + max_stride_ * columns;
    Real* d_hidden = d_y + max_channels_ * columns;
    std::optional<Taken<Real>> taken;
    if (cpu) taken.emplace(d_hidden + max_channels_ * columns, columns, max_channels_, max_stride_);
    const std::int64_t begin = part * n_tiles / parts, end = (part + 1) * n_tiles / parts;
    fill_zero(context, d_packed.data() + part * packed_size,
              static_cast<std::size_t>(packed_size) * sizeof(Real));
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t tile = tiles[static_cast<std::size_t>(at)];
      const std::int64_t first = tiling.first(tile), samples = tiling.size(tile), c = samples * width_;
      cin_load(context, {x.data() + first * x.stride(), x.stride(), samples, fields_, width_}, x0);
      fill_zero(context, d_x0, static_cast<std::size_t>(fields_ * c) * sizeof(Real));
      const Real* y = saved.y.data() + first * saved.y.stride() + channels_ * c;  // behind the last layer's
      Real* d_w = d_packed.data() + part * packed_size + packed_size;
      for (std::size_t k = layers_.size(); k-- > 0;) {
        const CinPairs& pairs = layers_[k].pairs;
        CinPool pool = layers_[k].pool;
        pool.stride = d_out.stride();
        y -= pool.out * c;
        d_w -= pool.out * pairs.stride();
        const Real* hidden = k == 0 ? x0 : y - layers_[k - 1].pool.out * c;
        cin_activate_backward(context, pool, samples, width_, y, d_out.data() + first * d_out.stride(),
                              d_hidden, d_y);
        if (cpu) {
          weigh_active_backward(context, pairs, pool.out, c, hidden, x0, saved.packed[k].data(), d_y, z,
                                *taken, d_w, d_hidden, d_x0);
          continue;
        }
        cin_products(context, pairs, c, hidden, x0, z);
        gemm(context, Transpose::no, Transpose::yes, pool.out, pairs.count() + 1, c, Real(1), d_y, c, z, c,
             Real(1), d_w, pairs.stride());
        gemm(context, Transpose::yes, Transpose::no, pairs.count(), c, pool.out, Real(1),
             saved.packed[k].data(), pairs.stride(), d_y, c, Real(0), z, c);
        cin_products_backward(context, pairs, c, hidden, x0, z, d_hidden, d_x0);
      }
      cin_store(context, d_x0, {d_x.data() + first * d_x.stride(), d_x.stride(), samples, fields_, width_});
    }
  });

  Real* d_w = d_packed.data();
  for (const Layer& layer : layers_) {
    cin_unpack_gradients(context, layer.pairs, layer.pool.out, static_cast<int>(parts), packed_size, d_w,
                         parameters_->gradient(layer.weight), parameters_->gradient(layer.bias));
    d_w += layer.pool.out * layer.pairs.stride();
  }
  return d_x;
}

template class Cin<float>;
template class Cin<double>;

}  // namespace sllmr
