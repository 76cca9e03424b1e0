#include "kernels/exec/launch_graph.h"

#include <cstddef>
#include <map>

#include "kernels/exec/cuda_check.h"
#include "kernels/exec/memory.h"

namespace sllmr {

#if SLLMR_WITH_CUDA

namespace {

/// What a run has recorded.
class Recording : NotCopied {
 public:
  Recording(cudaStream_t stream, MemoryPool& pool, const std::function<void()>& work) {
    const MemoryPool::Hold hold(pool);
    // Relaxed: the memory pool may have to grow.
    SLLMR_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph_);
      destroy();
      throw;
    }
    SLLMR_CUDA_CHECK(cudaStreamEndCapture(stream, &graph_));
  }
  ~Recording() { destroy(); }

  cudaGraph_t graph() const { return graph_; }
  std::size_t nodes() const {
    std::size_t count = 0;
    SLLMR_CUDA_CHECK(cudaGraphGetNodes(graph_, nullptr, &count));
    return count;
  }

 private:
  void destroy() {
    if (graph_ != nullptr) cudaGraphDestroy(graph_);
  }
  cudaGraph_t graph_ = nullptr;
};

}  // namespace

struct LaunchGraph::Graphs : NotCopied {
  // What cuBLAS takes by itself on Hopper, so that it chooses the same kernels.
  static constexpr std::size_t kWorkspace = std::size_t{32} << 20;

  explicit Graphs(const Context& context)
      : blas(static_cast<cublasHandle_t>(context.blas())),
        stream(static_cast<cudaStream_t>(context.stream())),
        pool(context.pool()),
        workspace(context, kWorkspace) {
    SLLMR_CUDA_CHECK(cublas().set_workspace(blas, workspace.data(), kWorkspace));
  }
  ~Graphs() {
    for (const auto& [nodes, graph] : ready) cudaGraphExecDestroy(graph);
    cublas().set_stream(blas, stream);  // gives the handle its own workspace back
  }

  void run(const std::function<void()>& work) {
    if (!warm) {
      work();
      warm = true;
      return;
    }
    const Recording recording(stream, pool, work);
    cudaGraphExec_t& graph = ready[recording.nodes()];
    if (graph != nullptr) {
      cudaGraphExecUpdateResultInfo info{};
      const cudaError_t status = cudaGraphExecUpdate(graph, recording.graph(), &info);
      if (status == cudaErrorGraphExecUpdateFailure) {
        cudaGetLastError();
        SLLMR_CUDA_CHECK(cudaGraphExecDestroy(graph));  // of one that still runs: when it has
        graph = nullptr;
      } else {
        SLLMR_CUDA_CHECK(status);
      }
    }
    if (graph == nullptr) {
      SLLMR_CUDA_CHECK(cudaGraphInstantiate(&graph, recording.graph()));
      ++built;
    }
    SLLMR_CUDA_CHECK(cudaGraphLaunch(graph, stream));
  }

  cublasHandle_t blas;
  cudaStream_t stream;
  MemoryPool& pool;
  Buffer<std::byte> workspace;
  bool warm = false;
  int built = 0;
  // By number of nodes: runs that alternate between two sequences of launches have a graph for each.
  std::map<std::size_t, cudaGraphExec_t> ready;
};

void LaunchGraph::run(const std::function<void()>& work) {
  graphs_->run(work);
}

int LaunchGraph::built() const {
  return graphs_->built;
}

#else

struct LaunchGraph::Graphs {
  explicit Graphs(const Context&) {}
};

void LaunchGraph::run(const std::function<void()>& work) {
  work();
}

int LaunchGraph::built() const {
  return 0;
}

#endif

LaunchGraph::LaunchGraph(const Context& context) {
  require(context.device() == Device::cuda, "a graph of launches needs a CUDA device");
  graphs_ = std::make_unique<Graphs>(context);
}

LaunchGraph::~LaunchGraph() = default;

}  // namespace sllmr
