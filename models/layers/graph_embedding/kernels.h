// Propagation over a graph: each row takes in the rows of its neighbours (LightGCN; He et al., SIGIR 2020).
#pragma once

#include <cstdint>

#include "kernels/exec/matrix.h"
#include "kernels/exec/run.h"

namespace sllmr {

/// An undirected graph and its symmetrically normalised adjacency matrix A: A_ij = scale_i scale_j where i
/// and j are neighbours, else 0, with scale = 1 / sqrt(degree). All on the device. A node without neighbours
/// has a row of zeros, whatever its scale (a finite number).
template <class Real>
struct Graph {
  std::int64_t nodes = 0;
  const std::int64_t* offsets = nullptr;  // [nodes + 1]
  const Id* neighbours = nullptr;         // [offsets[nodes]]; j among those of i and i among those of j
  const Real* scale = nullptr;            // [nodes]
};

/// out = factor (base + A x), all [nodes x width]; `out` is neither `x` nor `base`. One launch; a row is
/// summed in the order of its neighbours, so that the result is the same every time. Ids are not checked.
template <class Real>
struct Propagation {
  Graph<Real> graph;
  Matrix<const Real> base, x;
  Real factor = 1;
  Matrix<Real> out;
};

}  // namespace sllmr
