// DCN (Wang et al., 2017) as LLM-CF builds it.
#include "models/backbones/info.h"
#include "models/backbones/parallel_cross.h"
#include "models/layers/cross_net/cross_net.h"

namespace sllmr {

namespace {

template <class Real>
class DcnV1 final : public ParallelCross<Real, CrossNet<Real>> {
 public:
  DcnV1(const Context& context, const BackboneOptions& options)
      : ParallelCross<Real, CrossNet<Real>>(
            context, options, {EmbeddingInitial::Kind::xavier}, LinearInitial::xavier,
            [](Parameters<Real>& parameters, std::int64_t size) {
              constexpr int kCrossLayers = 3;
              return CrossNet<Real>(parameters, "cross", size, kCrossLayers);
            },
            /*gelu_map=*/true) {}
};

}  // namespace

BackboneInfo dcnv1_backbone() {
  return backbone_info<DcnV1>("dcnv1", "DCN", "vector-wise cross layers beside a deep part");
}

}  // namespace sllmr
