// Propagation over a graph: each row takes in the rows of its neighbours (LightGCN; He et al., SIGIR 2020).
#pragma once

#include <cstdint>

#include "kernels/exec/context.h"

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

/// Rows of `width` columns; passed to the kernel by value. `out` is neither `x` nor `base`.
template <class Real>
struct Propagation {
  Graph<Real> graph;
  int width = 0;
  const Real* base = nullptr;  // [nodes x width]
  const Real* x = nullptr;     // [nodes x width]
  Real factor = 1;
  Real* out = nullptr;  // [nodes x width]
};

void graph_propagate_on(OnCpu, const Context& context, const Propagation<float>& args);
void graph_propagate_on(OnCpu, const Context& context, const Propagation<double>& args);
void graph_propagate_on(OnCuda, const Context& context, const Propagation<float>& args);
void graph_propagate_on(OnCuda, const Context& context, const Propagation<double>& args);

/// out = factor (base + A x). One launch; a row is summed in the order of
/// its neighbours, so that the result is the same every time. Ids are not checked.
template <class Real>
void graph_propagate(const Context& context, const Propagation<Real>& args) {
  on_device(context, [&](auto device) { graph_propagate_on(device, context, args); });
}

}  // namespace sllmr
