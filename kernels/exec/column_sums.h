// Sums over the rows of a batch, for .cu files: gradients of biases and of vectors, statistics of batch norm.
// Rows are summed in chunks of a fixed size and the chunks in a fixed order, so the number of threads does
// not matter.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/exec/launch.h"
#include "kernels/exec/loops.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

/// How rows and columns are dealt out: an item is one block of columns of one chunk of rows. A CPU thread
/// takes a cache line of columns and so many rows that an ordinary batch is one chunk; a warp takes 32
/// columns and few rows, for the sake of parallelism. `OnDevice` is OnThisDevice.
template <class OnDevice>
struct ColumnGrid {
  static constexpr bool kCuda = OnDevice::value == Device::cuda;
  static constexpr std::int64_t kChunkRows = kCuda ? 8 : 256;
  static constexpr int kBlock = kCuda ? 32 : 16;

  std::int64_t rows, cols, chunks, blocks;

  ColumnGrid(std::int64_t of_rows, std::int64_t of_cols)
      : rows(of_rows),
        cols(of_cols),
        chunks(std::max<std::int64_t>(1, (rows + kChunkRows - 1) / kChunkRows)),
        blocks((cols + kBlock - 1) / kBlock) {}

  std::int64_t items() const { return chunks * blocks; }
  SLLMR_HD std::int64_t chunk(std::int64_t item) const { return item / blocks; }
  SLLMR_HD std::int64_t first_row(std::int64_t item) const { return chunk(item) * kChunkRows; }
  SLLMR_HD std::int64_t end_row(std::int64_t item) const {
    const std::int64_t end = first_row(item) + kChunkRows;
    return end < rows ? end : rows;
  }

  /// Calls body(k, column) for the columns of `item` that this lane owns, k < kBlock / Lanes::size.
  template <class Lanes, class Body>
  SLLMR_INLINE void for_columns(Lanes lanes, std::int64_t item, const Body& body) const {
    const std::int64_t first = item % blocks * kBlock;
    if constexpr (Lanes::size == 1) {
      if (first + kBlock <= cols) {
        SLLMR_ROW_LOOP
        for (int k = 0; k < kBlock; ++k) body(k, first + k);
      } else {
        const int left = static_cast<int>(cols - first);
        SLLMR_ROW_LOOP
        for (int k = 0; k < left; ++k) body(k, first + k);
      }
    } else {
      if (first + lanes.lane() < cols) body(0, first + lanes.lane());
    }
  }
};

/// Where the sums of all rows go, [cols] each.
template <class Real, int Sums>
struct ColumnTargets {
  Real* to[Sums];
};

template <class Real, int Sums, class Term, class OnDevice>
struct SumChunk {
  ColumnGrid<OnDevice> grid;
  Term term;
  ColumnTargets<Real, Sums> targets;
  Real* partial;  // [chunks x Sums x cols]; null where there is one chunk

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    Real sum[Sums][ColumnGrid<OnDevice>::kBlock / Lanes::size] = {};
    for (std::int64_t row = grid.first_row(item); row < grid.end_row(item); ++row) {
      const auto terms = term.row(row);
      grid.for_columns(lanes, item, [&](int k, std::int64_t column) {
        Real value[Sums];
        terms(column, value);
        for (int s = 0; s < Sums; ++s) sum[s][k] += value[s];
      });
    }
    grid.for_columns(lanes, item, [&](int k, std::int64_t column) {
      for (int s = 0; s < Sums; ++s) {
        if (partial == nullptr) {
          targets.to[s][column] = sum[s][k];
        } else {
          partial[(grid.chunk(item) * Sums + s) * grid.cols + column] = sum[s][k];
        }
      }
    });
  }
};

template <class Real, int Sums, class Term, class OnDevice>
struct AddChunks {
  ColumnGrid<OnDevice> grid;
  const Real* partial;
  ColumnTargets<Real, Sums> targets;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t item) const {
    Real sum = 0;
    for (std::int64_t chunk = lanes.lane(); chunk < grid.chunks; chunk += Lanes::size) {
      sum += partial[chunk * Sums * grid.cols + item];
    }
    sum = lanes.sum(sum);
    if (lanes.lane() == 0) targets.to[item / grid.cols][item % grid.cols] = sum;
  }
};

/// targets.to[s][c] = sum over rows r of what term.row(r)(c, value) writes to value[s]; the call may also
/// write results of its own for (r, c). Each (r, c) is visited once.
template <class Real, int Sums, class Term>
void column_sums(const Context& context, const char* name, std::int64_t rows, std::int64_t cols,
                 const Term& term, const ColumnTargets<Real, Sums>& targets) {
  const ColumnGrid<OnThisDevice> grid(rows, cols);
  Tensor<Real> partial;
  if (grid.chunks > 1) partial = Tensor<Real>(context, grid.chunks * Sums, cols);
  launch(context, name, grid.items(),
         SumChunk<Real, Sums, Term, OnThisDevice>{grid, term, targets, partial.data()});
  if (grid.chunks == 1) return;
  launch(context, "add_chunks", Sums * cols,
         AddChunks<Real, Sums, Term, OnThisDevice>{grid, partial.data(), targets});
}

}  // namespace sllmr
