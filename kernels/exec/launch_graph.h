// Many small launches handed to the device at once, as one CUDA graph.
#pragma once

#include <functional>
#include <memory>

#include "kernels/exec/context.h"
#include "kernels/exec/not_copied.h"

namespace sllmr {

/// A stretch of work that is run again and again with other numbers, such as a training step. Each run
/// records its launches, copies within the device and matrix products in a CUDA graph and puts their
/// arguments into the graph of the run before, so that sizes and addresses may change from run to run; only
/// where the sequence of launches is another one the graph is built anew. The host pays for recording, not
/// for launching, and the device goes from kernel to kernel without the host.
///
/// The work must not wait for the device, nor copy between host and device: do that before it.
class LaunchGraph : NotCopied {
 public:
  /// Throws Error where the context is not of a CUDA device. Takes the context's BLAS handle's workspace over
  /// for as long as it lives: cuBLAS would allocate one in every graph.
  explicit LaunchGraph(const Context& context);
  ~LaunchGraph();

  /// Runs `work` in the context's stream. The first time it is launched as it is: that fills the memory pool
  /// and loads the kernels, which recording should not. What `work` throws is thrown.
  void run(const std::function<void()>& work);
  /// How often a graph had to be built.
  int built() const;

 private:
  struct Graphs;
  std::unique_ptr<Graphs> graphs_;
};

}  // namespace sllmr
