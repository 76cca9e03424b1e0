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
constexpr int kBackHidden = kCpu ? 1 << 30 : 8;  // hidden channels, of the way back
constexpr int kSamples = kCpu ? 64 : 1;

constexpr std::int64_t blocks_of(std::int64_t n, int size) {
  return (n + size - 1) / size;
}

/// Item: one field of one sample.
template <class Real>
struct Load {
  CinSamples<const Real> x;
  Real* x0;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t s = item / x.fields;
    const std::int64_t m = item % x.fields;
    const Real* from = x.data + s * x.stride + m * x.width;
    Real* to = x0 + (m * x.samples + s) * x.width;
    SLLMR_ROW_LOOP
    for (int k = lanes.lane(); k < x.width; k += Lanes::size) to[k] = from[k];
  }
};

template <class Real>
struct Store {
  const Real* x0;
  CinSamples<Real> x;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t s = item / x.fields;
    const std::int64_t m = item % x.fields;
    const Real* from = x0 + (m * x.samples + s) * x.width;
    Real* to = x.data + s * x.stride + m * x.width;
    SLLMR_ROW_LOOP
    for (int k = lanes.lane(); k < x.width; k += Lanes::size) to[k] = from[k];
  }
};

/// Item: the columns of one block, of the pairs of one hidden channel or of the row of ones.
template <class Real>
struct Products {
  CinPairs pairs;
  std::int64_t columns;
  const Real* hidden;
  const Real* x0;
  Real* z;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const int heads = pairs.hidden + 1;
    const int h = static_cast<int>(item % heads);
    const std::int64_t begin = item / heads * kColumns;
    const int n = static_cast<int>(columns - begin < kColumns ? columns - begin : kColumns);
    if (h == pairs.hidden) {
      Real* ones = z + pairs.count() * columns + begin;
      SLLMR_ROW_LOOP
      for (int c = lanes.lane(); c < n; c += Lanes::size) ones[c] = 1;
      return;
    }
    const Real* x = hidden + h * columns + begin;
    for (int m = pairs.first(h); m < pairs.fields; ++m) {
      const Real* y = x0 + m * columns + begin;
      Real* to = z + pairs.row(h, m) * columns + begin;
      SLLMR_ROW_LOOP
      for (int c = lanes.lane(); c < n; c += Lanes::size) to[c] = x[c] * y[c];
    }
  }
};

/// Item: kBackColumns columns, so few that the sums of a channel stay in registers, of kBackHidden channels.
template <class Real>
struct ProductsBackward {
  CinPairs pairs;
  std::int64_t columns;
  const Real* hidden;
  const Real* x0;
  const Real* d_z;
  Real* d_hidden;
  Real* d_x0;     // where all channels are one item's
  Real* partial;  // [parts x fields x columns], d_x0 of each part; else null

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const std::int64_t of_part = (columns + kBackColumns - 1) / kBackColumns;
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
    const int n = Full ? kOwn : static_cast<int>((left + Step - 1) / Step);
    const int first = kCpu ? 0 : part * kBackHidden;
    const int end = pairs.hidden - first < kBackHidden ? pairs.hidden : first + kBackHidden;
    Real* d_fields = d_x0;
    if (partial != nullptr) {
      d_fields = partial + part * pairs.fields * columns;
      for (int m = 0; m < pairs.fields; ++m) {
        for (int j = 0; j < n; ++j) d_fields[m * columns + begin + j * Step] = 0;
      }
    }
    for (int h = first; h < end; ++h) {
      const Real* x = hidden + h * columns + begin;
      Real d_x[kOwn] = {};
      for (int m = pairs.first(h); m < pairs.fields; ++m) {
        const Real* y = x0 + m * columns + begin;
        const Real* d = d_z + pairs.row(h, m) * columns + begin;
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
        Real* to = d_hidden + h * columns + begin;
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

/// Item: one channel of a block of samples.
template <class Real>
struct Activate {
  CinPool pool;
  std::int64_t samples;
  int width;
  Real* y;
  Real* pooled;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const int channel = static_cast<int>(item % pool.out);
    const std::int64_t begin = item / pool.out * kSamples;
    const std::int64_t end = begin + kSamples < samples ? begin + kSamples : samples;
    Real* rows = y + (channel * samples + begin) * width;
    const std::int64_t n = (end - begin) * width;
    SLLMR_ROW_LOOP
    for (std::int64_t k = lanes.lane(); k < n; k += Lanes::size) rows[k] = rows[k] < 0 ? Real(0) : rows[k];
    if (channel < pool.pooled_from) return;
    for (std::int64_t s = begin; s < end; ++s) {
      const Real* row = rows + (s - begin) * width;
      const Real sum = sum_of<Real>(lanes, width, [&](std::int64_t k) { return row[k]; });
      if (lanes.lane() == 0) pooled[s * pool.stride + pool.first + channel - pool.pooled_from] = sum;
    }
  }
};

template <class Real>
struct ActivateBackward {
  CinPool pool;
  std::int64_t samples;
  int width;
  const Real* y;
  const Real* d_pooled;
  const Real* d_hidden;
  Real* d_y;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    const int channel = static_cast<int>(item % pool.out);
    const std::int64_t begin = item / pool.out * kSamples;
    const std::int64_t end = begin + kSamples < samples ? begin + kSamples : samples;
    const std::int64_t at = (channel * samples + begin) * width;
    const Real* of = y + at;
    Real* to = d_y + at;
    if (channel < pool.pooled_from) {
      const Real* d = d_hidden + at;
      const std::int64_t n = (end - begin) * width;
      SLLMR_ROW_LOOP
      for (std::int64_t k = lanes.lane(); k < n; k += Lanes::size) {
        const Real d_k = d[k];
        to[k] = of[k] > 0 ? d_k : Real(0);
      }
      return;
    }
    for (std::int64_t s = begin; s < end; ++s, of += width, to += width) {
      const Real d = d_pooled[s * pool.stride + pool.first + channel - pool.pooled_from];
      SLLMR_ROW_LOOP
      for (int k = lanes.lane(); k < width; k += Lanes::size) to[k] = of[k] > 0 ? d : Real(0);
    }
  }
};

/// Item: one output channel.
template <class Real>
struct PackWeights {
  CinPairs pairs;
  const Real* weight;
  const Real* bias;
  Real* packed;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t o) const {
    const Real* from = weight + o * pairs.hidden * pairs.fields;
    Real* to = packed + o * pairs.stride();
    for (int h = lanes.lane(); h < pairs.hidden; h += Lanes::size) {
      for (int m = pairs.first(h); m < pairs.fields; ++m) {
        Real w = from[h * pairs.fields + m];
        if (pairs.symmetric && m != h) w += from[m * pairs.fields + h];
        to[pairs.row(h, m)] = w;
      }
    }
    if (lanes.lane() == 0) to[pairs.count()] = bias[o];
  }
};

template <class Real>
struct UnpackGradients {
  CinPairs pairs;
  int parts;
  std::int64_t part_stride;
  Real* d_packed;
  Real* d_weight;
  Real* d_bias;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t o) const {
    Real* sum = d_packed + o * pairs.stride();
    for (int p = 1; p < parts; ++p) {
      const Real* part = sum + p * part_stride;
      SLLMR_ROW_LOOP
      for (int k = lanes.lane(); k <= pairs.count(); k += Lanes::size) sum[k] += part[k];
    }
    lanes.sync();
    Real* to = d_weight + o * pairs.hidden * pairs.fields;
    for (int h = lanes.lane(); h < pairs.hidden; h += Lanes::size) {
      for (int m = 0; m < pairs.fields; ++m) {
        const bool mirrored = m < pairs.first(h);
        to[h * pairs.fields + m] = sum[mirrored ? pairs.row(m, h) : pairs.row(h, m)];
      }
    }
    if (lanes.lane() == 0) d_bias[o] = sum[pairs.count()];
  }
};

}  // namespace

template <class Real, class OnDevice>
void cin_load_on(OnDevice, const Context& context, const CinSamples<const Real>& x, Real* x0) {
  launch(context, "cin_load", x.samples * x.fields, Load<Real>{x, x0});
}

template <class Real, class OnDevice>
void cin_store_on(OnDevice, const Context& context, const Real* x0, const CinSamples<Real>& x) {
  launch(context, "cin_store", x.samples * x.fields, Store<Real>{x0, x});
}

template <class Real, class OnDevice>
void cin_products_on(OnDevice, const Context& context, const CinPairs& pairs, std::int64_t columns,
                     const Real* hidden, const Real* x0, Real* z) {
  launch(context, "cin_products", blocks_of(columns, kColumns) * (pairs.hidden + 1),
         Products<Real>{pairs, columns, hidden, x0, z});
}

template <class Real, class OnDevice>
void cin_products_backward_on(OnDevice, const Context& context, const CinPairs& pairs, std::int64_t columns,
                              const Real* hidden, const Real* x0, const Real* d_z, Real* d_hidden,
                              Real* d_x0) {
  const std::int64_t parts = blocks_of(pairs.hidden, kBackHidden), size = pairs.fields * columns;
  Tensor<Real> partial;
  if (parts > 1) partial = Tensor<Real>(context, parts, size);
  launch(context, "cin_products_backward", parts * blocks_of(columns, kBackColumns),
         ProductsBackward<Real>{pairs, columns, hidden, x0, d_z, d_hidden, d_x0, partial.data()});
  if (parts > 1) {
    launch(context, "cin_add_parts", blocks_of(size, kColumns),
           AddParts<Real>{partial.data(), parts, size, d_x0});
  }
}

template <class Real, class OnDevice>
void cin_activate_on(OnDevice, const Context& context, const CinPool& pool, std::int64_t samples, int width,
                     Real* y, Real* pooled) {
  launch(context, "cin_activate", blocks_of(samples, kSamples) * pool.out,
         Activate<Real>{pool, samples, width, y, pooled});
}

template <class Real, class OnDevice>
void cin_activate_backward_on(OnDevice, const Context& context, const CinPool& pool, std::int64_t samples,
                              int width, const Real* y, const Real* d_pooled, const Real* d_hidden,
                              Real* d_y) {
  launch(context, "cin_activate_backward", blocks_of(samples, kSamples) * pool.out,
         ActivateBackward<Real>{pool, samples, width, y, d_pooled, d_hidden, d_y});
}

template <class Real, class OnDevice>
void cin_pack_weights_on(OnDevice, const Context& context, const CinPairs& pairs, int out, const Real* weight,
                         const Real* bias, Real* packed) {
  launch(context, "cin_pack_weights", out, PackWeights<Real>{pairs, weight, bias, packed});
}

template <class Real, class OnDevice>
void cin_unpack_gradients_on(OnDevice, const Context& context, const CinPairs& pairs, int out, int parts,
                             std::int64_t part_stride, Real* d_packed, Real* d_weight, Real* d_bias) {
  launch(context, "cin_unpack_gradients", out,
         UnpackGradients<Real>{pairs, parts, part_stride, d_packed, d_weight, d_bias});
}

#define SLLMR_INSTANTIATE(Real)                                                                           \
  template void cin_load_on(OnThisDevice, const Context&, const CinSamples<const Real>&, Real*);          \
  template void cin_store_on(OnThisDevice, const Context&, const Real*, const CinSamples<Real>&);         \
  template void cin_products_on(OnThisDevice, const Context&, const CinPairs&, std::int64_t, const Real*, \
                                const Real*, Real*);                                                      \
  template void cin_products_backward_on(OnThisDevice, const Context&, const CinPairs&, std::int64_t,     \
                                         const Real*, const Real*, const Real*, Real*, Real*);            \
  template void cin_activate_on(OnThisDevice, const Context&, const CinPool&, std::int64_t, int, Real*,   \
                                Real*);                                                                   \
  template void cin_activate_backward_on(OnThisDevice, const Context&, const CinPool&, std::int64_t, int, \
                                         const Real*, const Real*, const Real*, Real*);                   \
  template void cin_pack_weights_on(OnThisDevice, const Context&, const CinPairs&, int, const Real*,      \
                                    const Real*, Real*);                                                  \
  template void cin_unpack_gradients_on(OnThisDevice, const Context&, const CinPairs&, int, int,          \
                                        std::int64_t, Real*, Real*, Real*);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
