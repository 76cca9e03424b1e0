// The steps that only the CPU takes.
#include "models/layers/cin/kernels.h"

#include <algorithm>

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

/// Item: one column.
template <class Real>
struct ProductsByColumn {
  CinPairs pairs;
  std::int64_t columns;
  const Real* hidden;
  const Real* x0;
  Real* z;

  template <class Lanes>
  void operator()(Lanes, std::int64_t column) const {
    // A channel's products are few, yet vectorise when as many are written whatever their number: what is too
    // much is written over by the next channel's.
    constexpr int kRun = 8;
    const bool few = pairs.fields <= kRun;
    Real* to = z + column * pairs.stride();
    Real y[2 * kRun] = {};
    for (int m = 0; few && m < pairs.fields; ++m) y[m] = x0[m * columns + column];
    for (int h = 0; h < pairs.hidden; ++h) {
      const int first = pairs.first(h), row = pairs.row(h, first);
      const Real x = hidden[h * columns + column];
      if (few && row + kRun <= pairs.stride()) {
        SLLMR_ROW_LOOP
        for (int k = 0; k < kRun; ++k) to[row + k] = x * y[first + k];
      } else {
        for (int m = first; m < pairs.fields; ++m) to[row + m - first] = x * x0[m * columns + column];
      }
    }
    to[pairs.count()] = 1;
    for (int k = pairs.count() + 1; k < pairs.stride(); ++k) to[k] = 0;
  }
};

/// copy(row of the block, its columns' place in it, their place in the packed row, how many) of each run.
template <class Copy>
void for_each_run(const CinPairs& pairs, const CinChannels& channels, const Copy& copy) {
  const int fields = pairs.fields;
  for (std::size_t row = 0; row < channels.out.size(); ++row) {
    if (pairs.symmetric) {
      copy(row, 0, 0, pairs.count() + 1);
      continue;
    }
    int at = 0;
    for (const int h : channels.hidden) {
      copy(row, at, h * fields, fields);
      at += fields;
    }
    copy(row, at, pairs.count(), 1);
  }
}

CinPairs pairs_between(const CinPairs& pairs, const CinChannels& channels) {
  return {static_cast<int>(channels.hidden.size()), pairs.fields, pairs.symmetric};
}

}  // namespace

template <class Real>
void cin_active_channels(int channels, std::int64_t columns, const Real* x, std::vector<int>& active) {
  active.clear();
  for (int channel = 0; channel < channels; ++channel, x += columns) {
    int any = 0;
#pragma omp simd reduction(| : any)
    for (std::int64_t c = 0; c < columns; ++c) any |= x[c] != 0 ? 1 : 0;
    if (any != 0) active.push_back(channel);
  }
}

template <class Real>
void cin_take_rows(const std::vector<int>& active, std::int64_t columns, const Real* x, Real* rows) {
  for (const int channel : active) rows = std::copy_n(x + channel * columns, columns, rows);
}

template <class Real>
void cin_put_rows(const std::vector<int>& active, int channels, std::int64_t columns, const Real* rows,
                  Real* x) {
  std::fill_n(x, channels * columns, Real(0));
  for (const int channel : active) {
    std::copy_n(rows, columns, x + channel * columns);
    rows += columns;
  }
}

template <class Real>
void cin_take_weights(const CinPairs& pairs, const CinChannels& channels, const Real* packed, Real* block) {
  const int stride = pairs_between(pairs, channels).stride();
  std::fill_n(block, channels.out.size() * static_cast<std::size_t>(stride), Real(0));
  for_each_run(pairs, channels, [&](std::size_t row, int to, int from, int n) {
    const Real* w = packed + static_cast<std::int64_t>(channels.out[row]) * pairs.stride() + from;
    Real* b = block + static_cast<std::int64_t>(row) * stride + to;
    for (int k = 0; k < n; ++k) b[k] = w[k];
  });
}

template <class Real>
void cin_put_weights(const CinPairs& pairs, const CinChannels& channels, const Real* block, Real* packed) {
  const int stride = pairs_between(pairs, channels).stride();
  for_each_run(pairs, channels, [&](std::size_t row, int from, int to, int n) {
    const Real* b = block + static_cast<std::int64_t>(row) * stride + from;
    Real* w = packed + static_cast<std::int64_t>(channels.out[row]) * pairs.stride() + to;
    for (int k = 0; k < n; ++k) w[k] = b[k];
  });
}

template <class Real>
void cin_products_by_column(const Context& context, const CinPairs& pairs, std::int64_t columns,
                            const Real* hidden, const Real* x0, Real* z) {
  launch(context, "cin_products_by_column", columns, ProductsByColumn<Real>{pairs, columns, hidden, x0, z});
}

#define SLLMR_INSTANTIATE(Real)                                                                    \
  template void cin_products_by_column(const Context&, const CinPairs&, std::int64_t, const Real*, \
                                       const Real*, Real*);                                        \
  template void cin_active_channels(int, std::int64_t, const Real*, std::vector<int>&);            \
  template void cin_take_rows(const std::vector<int>&, std::int64_t, const Real*, Real*);          \
  template void cin_put_rows(const std::vector<int>&, int, std::int64_t, const Real*, Real*);      \
  template void cin_take_weights(const CinPairs&, const CinChannels&, const Real*, Real*);         \
  template void cin_put_weights(const CinPairs&, const CinChannels&, const Real*, Real*);
SLLMR_INSTANTIATE(float)
SLLMR_INSTANTIATE(double)

}  // namespace sllmr
