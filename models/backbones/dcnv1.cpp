// DCN (Wang et al., 2017) as LLM-CF builds it.
#include "models/backbones/factories.h"
#include "models/backbones/parallel_cross.h"
#include "models/layers/cross_net/cross_net.h"

namespace sllmr {

template <class Real>
std::unique_ptr<Backbone<Real>> make_dcnv1(const Context& context, const BackboneOptions& options) {
  constexpr int kCrossLayers = 3;
  return std::make_unique<ParallelCross<Real, CrossNet<Real>>>(
      context, options, EmbeddingInitial{EmbeddingInitial::Kind::xavier}, LinearInitial::xavier,
      [](Parameters<Real>& parameters, std::int64_t size) {
        return CrossNet<Real>(parameters, "cross", size, kCrossLayers);
      });
}
template std::unique_ptr<Backbone<float>> make_dcnv1(const Context&, const BackboneOptions&);
template std::unique_ptr<Backbone<double>> make_dcnv1(const Context&, const BackboneOptions&);

}  // namespace sllmr
