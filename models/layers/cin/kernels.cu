#include "models/layers/cin/kernels.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/matrix.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

namespace {

// What one group of lanes takes: on the CPU long rows, which vectorise; on CUDA a warp's width, so that there
// are many groups.
constexpr bool kCpu = OnThisDevice::value == Device::cpu;
constexpr int kColumns = kCpu ? 256 : 32;
constexpr int kBackColumns = kCpu ? 64 : 32;
constexpr int kBackHidden = kCpu ? 1 << 30 : 8;  // hidden channels, backward
constexpr int kSamples = kCpu ? 64 : 1;

// A tile's matrices have no gaps: where the bodies count columns, one number serves all of them, in fewer
// registers than the matrices' strides.

constexpr std::int64_t blocks_of(std::int64_t n, int size) {
  return (n + size - 1) / size;
}

/// copy(x, x0) of where `item`, one field of one sample, stands in both.
template <class Args, class Copy>
SLLMR_INLINE void with_field(const Args& args, std::int64_t item, const Copy& copy) {
  const int width = args.width, fields = static_cast<int>(args.x0.rows);
  const std::int64_t s = item / fields, m = item % fields;
  copy(args.x.row(s) + m * width, args.x0.data + (m * args.x.rows + s) * width);
}
template <class Real, class Lanes>
SLLMR_INLINE void copy_field(Lanes lanes, int width, const Real* from, Real* to) {
  SLLMR_ROW_LOOP
  for (int k = lanes.lane(); k < width; k += Lanes::size) to[k] = from[k];
}
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CinLoad<Real>& args, std::int64_t item) {
  with_field(args, item, [&](const Real* x, Real* x0) { copy_field(lanes, args.width, x, x0); });
}
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CinStore<Real>& args, std::int64_t item) {
  with_field(args, item, [&](Real* x, const Real* x0) { copy_field(lanes, args.width, x0, x); });
}

/// Item: the columns of one block, of the pairs of one hidden channel or of the row of ones.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CinProducts<Real>& args, std::int64_t item) {
  const CinPairs pairs = args.pairs;
  const std::int64_t columns = args.z.cols;
  const int heads = pairs.hidden + 1;
  const int h = static_cast<int>(item % heads);
  const std::int64_t begin = item / heads * kColumns;
  const int n = static_cast<int>(columns - begin < kColumns ? columns - begin : kColumns);
  if (h == pairs.hidden) {
    Real* ones = args.z.data + pairs.count() * columns + begin;
    SLLMR_ROW_LOOP
    for (int c = lanes.lane(); c < n; c += Lanes::size) ones[c] = 1;
    return;
  }
  const Real* x = args.hidden.data + h * columns + begin;
  for (int m = pairs.first(h); m < pairs.fields; ++m) {
    const Real* y = args.x0.data + m * columns + begin;
    Real* to = args.z.data + pairs.row(h, m) * columns + begin;
    SLLMR_ROW_LOOP
    for (int c = lanes.lane(); c < n; c += Lanes::size) to[c] = x[c] * y[c];
  }
}

/// Item: kBackColumns columns, so few that the sums of a channel stay in registers, of kBackHidden channels.
template <class Real>
struct ProductsBackward {
  CinProductsBackward<Real> args;
  Real* partial;  // [parts x fields x columns], d_x0 of each part; null where all channels are one item's

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t columns = args.x0.cols, of_part = (columns + kBackColumns - 1) / kBackColumns;
    const auto part = static_cast<int>(item / of_part);
    const std::int64_t begin = item % of_part * kBackColumns + lanes.lane();
    const std::int64_t left = columns - begin;
    if constexpr (Lanes::size == kBackColumns) {
      if (left > 0) run<Lanes::size, true>(part, begin, left);
    } else if (left >= kBackColumns) {
      run<Lanes::size, true>(part, begin, left);
    } else {
      run<Lanes::size, false>(part, begin, left);
    }
  }

 private:
  /// A lane's columns are `begin`, then every Step-th of those that are left; with Full as many as there can
  /// be, a number that the compiler knows.
  template <int Step, bool Full>
  SLLMR_INLINE void run(int part, std::int64_t begin, std::int64_t left) const {
    constexpr int kOwn = kBackColumns / Step;
    const CinPairs pairs = args.pairs;
    const std::int64_t columns = args.x0.cols;
    const int n = Full ? kOwn : static_cast<int>((left + Step - 1) / Step);
    const int first = kCpu ? 0 : part * kBackHidden;
    const int end = pairs.hidden - first < kBackHidden ? pairs.hidden : first + kBackHidden;
    Real* d_fields = args.d_x0.data;
    if (partial != nullptr) {
      d_fields = partial + part * pairs.fields * columns;
      for (int m = 0; m < pairs.fields; ++m) {
        for (int j = 0; j < n; ++j) d_fields[m * columns + begin + j * Step] = 0;
      }
    }
    for (int h = first; h < end; ++h) {
      const Real* x = args.hidden.data + h * columns + begin;
      Real d_x[kOwn] = {};
      for (int m = pairs.first(h); m < pairs.fields; ++m) {
        const Real* y = args.x0.data + m * columns + begin;
        const Real* d = args.d_z.data + pairs.row(h, m) * columns + begin;
        Real* d_y = d_fields + m * columns + begin;
        SLLMR_ROW_LOOP
        for (int j = 0; j < n; ++j) {
          d_x[j] += d[j * Step] * y[j * Step];
          d_y[j * Step] += d[j * Step] * x[j * Step];
        }
      }
      if (pairs.symmetric) {
        Real* to = d_fields + h * columns + begin;
        SLLMR_ROW_LOOP
        for (int j = 0; j < n; ++j) to[j * Step] += d_x[j];
      } else {
        Real* to = args.d_hidden.data + h * columns + begin;
        SLLMR_ROW_LOOP
        for (int j = 0; j < n; ++j) to[j * Step] = d_x[j];
      }
    }
  }
};

/// Item: kColumns elements of d_x0.
template <class Real>
struct AddParts {
  const Real* partial;
  std::int64_t parts, size;
  Real* d_x0;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t end = (item + 1) * kColumns < size ? (item + 1) * kColumns : size;
    for (std::int64_t at = item * kColumns + lanes.lane(); at < end; at += Lanes::size) {
      Real sum = d_x0[at];
      for (std::int64_t part = 0; part < parts; ++part) sum += partial[part * size + at];
      d_x0[at] = sum;
    }
  }
};

/// An item of the activation: one channel of samples begin .. end - 1.
struct ChannelBlock {
  SLLMR_INLINE ChannelBlock(std::int64_t item, int channels, std::int64_t samples)
      : channel(static_cast<int>(item % channels)),
        begin(item / channels * kSamples),
        end(begin + kSamples < samples ? begin + kSamples : samples) {}

  int channel;
  std::int64_t begin, end;
};

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CinActivate<Real>& args, std::int64_t item) {
  const ChannelBlock block(item, static_cast<int>(args.y.rows), args.pooled.rows);
  const int width = args.width;
  Real* rows = args.y.row(block.channel) + block.begin * width;
  const std::int64_t n = (block.end - block.begin) * width;
  SLLMR_ROW_LOOP
  for (std::int64_t k = lanes.lane(); k < n; k += Lanes::size) rows[k] = rows[k] < 0 ? Real(0) : rows[k];
  if (block.channel < args.pooled_from) return;
  for (std::int64_t s = block.begin; s < block.end; ++s) {
    const Real* row = rows + (s - block.begin) * width;
    const Real sum = sum_of<Real>(lanes, width, [&](std::int64_t k) { return row[k]; });
    if (lanes.lane() == 0) args.pooled.row(s)[block.channel - args.pooled_from] = sum;
  }
}

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CinActivateBackward<Real>& args, std::int64_t item) {
  const ChannelBlock block(item, static_cast<int>(args.y.rows), args.d_pooled.rows);
  const int width = args.width;
  const std::int64_t at = (block.channel * args.d_pooled.rows + block.begin) * width;
  const Real* of = args.y.data + at;
  Real* to = args.d_y.data + at;
  if (block.channel < args.pooled_from) {
    const Real* d = args.d_hidden.data + at;
    const std::int64_t n = (block.end - block.begin) * width;
    SLLMR_ROW_LOOP
    for (std::int64_t k = lanes.lane(); k < n; k += Lanes::size) {
      const Real d_k = d[k];
      to[k] = of[k] > 0 ? d_k : Real(0);
    }
    return;
  }
  for (std::int64_t s = block.begin; s < block.end; ++s, of += width, to += width) {
    const Real d = args.d_pooled.data[s * args.d_pooled.stride + block.channel - args.pooled_from];
    SLLMR_ROW_LOOP
    for (int k = lanes.lane(); k < width; k += Lanes::size) to[k] = of[k] > 0 ? d : Real(0);
  }
}

/// Item: one output channel.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CinPackWeights<Real>& args, std::int64_t o) {
  const CinPairs pairs = args.pairs;
  const Real* from = args.weight.row(o);
  Real* to = args.packed.row(o);
  for (int h = lanes.lane(); h < pairs.hidden; h += Lanes::size) {
    for (int m = pairs.first(h); m < pairs.fields; ++m) {
      Real w = from[h * pairs.fields + m];
      if (pairs.symmetric && m != h) w += from[m * pairs.fields + h];
      to[pairs.row(h, m)] = w;
    }
  }
  if (lanes.lane() == 0) to[pairs.count()] = args.bias[o];
}

/// Item: one output channel.
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes lanes, const CinUnpackGradients<Real>& args, std::int64_t o) {
  const CinPairs pairs = args.pairs;
  const int parts = static_cast<int>(args.d_packed.rows);
  Real* sum = args.d_packed.data + o * pairs.stride();
  for (int p = 1; p < parts; ++p) {
    const Real* part = sum + p * args.d_packed.stride;
    SLLMR_ROW_LOOP
    for (int k = lanes.lane(); k <= pairs.count(); k += Lanes::size) sum[k] += part[k];
  }
  lanes.sync();
  Real* to = args.d_weight.row(o);
  for (int h = lanes.lane(); h < pairs.hidden; h += Lanes::size) {
    for (int m = 0; m < pairs.fields; ++m) {
      const bool mirrored = m < pairs.first(h);
      to[h * pairs.fields + m] = sum[mirrored ? pairs.row(m, h) : pairs.row(h, m)];
    }
  }
  if (lanes.lane() == 0) args.d_bias[o] = sum[pairs.count()];
}

template <class Real>
void run_here(const Context& context, const CinProductsBackward<Real>& args) {
  const std::int64_t parts = blocks_of(args.pairs.hidden, kBackHidden), columns = args.x0.cols,
                     size = args.pairs.fields * columns;
  Tensor<Real> partial;
  if (parts > 1) partial = Tensor<Real>(context, parts, size);
  launch(context, "cin_products_backward", parts * blocks_of(columns, kBackColumns),
         ProductsBackward<Real>{args, partial.data()});
  if (parts > 1) {
    launch(context, "cin_add_parts", blocks_of(size, kColumns),
           AddParts<Real>{partial.data(), parts, size, args.d_x0.data});
  }
}

}  // namespace

SLLMR_ITEM_KERNELS(CinLoad, "cin_load", (args.x.rows * args.x0.rows))
SLLMR_ITEM_KERNELS(CinStore, "cin_store", (args.x.rows * args.x0.rows))
SLLMR_ITEM_KERNELS(CinProducts, "cin_products", blocks_of(args.z.cols, kColumns) * (args.pairs.hidden + 1))
SLLMR_KERNELS(CinProductsBackward)
SLLMR_ITEM_KERNELS(CinActivate, "cin_activate", blocks_of(args.pooled.rows, kSamples) * args.y.rows)
SLLMR_ITEM_KERNELS(CinActivateBackward, "cin_activate_backward",
                   blocks_of(args.d_pooled.rows, kSamples) * args.y.rows)
SLLMR_ITEM_KERNELS(CinPackWeights, "cin_pack_weights", args.weight.rows)
SLLMR_ITEM_KERNELS(CinUnpackGradients, "cin_unpack_gradients", args.d_weight.rows)

}  // namespace sllmr
