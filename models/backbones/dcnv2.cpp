// DCNv2 (Wang et al., 2021) in its parallel form: LLM-CF's mixture of low-rank experts or full rank.
#include "models/backbones/info.h"
#include "models/backbones/parallel_cross.h"
#include "models/layers/cross_mix/cross_mix.h"
#include "models/layers/cross_v2/cross_v2.h"

namespace sllmr {

namespace {

template <class Real>
std::unique_ptr<Backbone<Real>> make_dcnv2(const Context& context, const BackboneOptions& options) {
  constexpr int kCrossLayers = 2, kExperts = 4, kRank = 4;
  const EmbeddingInitial tables{EmbeddingInitial::Kind::standard_normal};
  if (options.cross == CrossKind::full) {
    return std::make_unique<ParallelCross<Real, CrossNetV2<Real>>>(
        context, options, tables, LinearInitial::standard,
        [](Parameters<Real>& parameters, std::int64_t size) {
          return CrossNetV2<Real>(parameters, "cross", size, kCrossLayers);
        });
  }
  return std::make_unique<ParallelCross<Real, CrossNetMix<Real>>>(
      context, options, tables, LinearInitial::standard, [](Parameters<Real>& parameters, std::int64_t size) {
        return CrossNetMix<Real>(parameters, "cross", "gate", size,
                                 {.layers = kCrossLayers, .experts = kExperts, .rank = kRank});
      });
}

}  // namespace

BackboneInfo dcnv2_backbone() {
  return {.name = "dcnv2",
          .title = "DCNv2",
          .summary = "cross layers of low-rank experts, or full rank, beside a deep part",
          .make = make_dcnv2<float>,
          .make_double = make_dcnv2<double>,
          .own_keys = {"model.cross"}};
}

}  // namespace sllmr
