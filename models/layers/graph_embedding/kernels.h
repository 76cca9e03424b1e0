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
///
/// With `reach` (see GraphReach) rows are left out that a batch does not depend on: the others get the same
/// bits as without, as all that is left out of their sums is zeros.
template <class Real>
struct Propagation {
  Graph<Real> graph;
  Matrix<const Real> base, x;
  Real factor = 1;
  Matrix<Real> out;
  const std::uint8_t* reach = nullptr;  // [nodes], or null: all rows count
  int least_out = 0;                    // rows of `out` with a smaller reach are not written
  int least_base = 0, least_x = 0;      // rows of a smaller reach are taken as zeros, not read
};

/// Gives the nodes of a batch their reach, `layers`: node first + keys[r], r < n, where an occurrence is in
/// the wanted field. Keys and occurrences as for BagGradients (models/layers/embedding/kernels.h).
struct BatchNodes {
  std::int64_t n;
  const Id* keys;               // [n], each once
  const std::int64_t* offsets;  // [n + 1]
  const std::int8_t* field;     // [offsets[n]]
  std::int8_t wanted;
  Id first;
  std::uint8_t layers;
  std::uint8_t* reach;  // [nodes]; other nodes are left alone
};

/// One step outwards from a batch: to[i] is from[i] where that is not 0, `reach` where a neighbour of i has
/// reach + 1, else 0. Begun with BatchNodes in zeros and taken with reach = layers - 1, ..., 1, it gives each
/// node `layers` less its distance from the batch, and 0 from there on: into how many layers of a propagation
/// its row is carried and still gets to the batch.
struct GraphReach {
  std::int64_t nodes;
  const std::int64_t* offsets;  // as in Graph
  const Id* neighbours;
  std::uint8_t reach;
  const std::uint8_t* from;  // [nodes]
  std::uint8_t* to;          // [nodes], not `from`
};

}  // namespace sllmr
