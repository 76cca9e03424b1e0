// The item's text vector as one more input of the backbone: what a method that has an LLM read texts must
// beat.
#include "models/extra/text_map.h"

#include "host/guidance/guidance.h"

namespace sllmr {
namespace {

constexpr const char* kScale = "text.scale";

}  // namespace

GuidanceInfo text_guidance() {
  return {.name = "text",
          .summary = "the item's text vector, through a linear map, as one more input of the backbone",
          .words = {"text"},
          .reads = [](const Config&) { return GuidanceReads{.scores = false, .vectors = true}; },
          .keys = {{kScale, 1.0, "factor of the vectors, which have norm 1; 0 leaves them out", {}, 0, 1e3}},
          .make = [](const GuidanceSetup& setup) { return std::make_unique<Guidance>(setup); },
          .extra = [](const Config& config,
                      const ExtraSources& sources) -> std::shared_ptr<const ExtraVectorMaker> {
            const double scale = config.part<double>(kScale);
            return scale == 0 ? nullptr : text_map(sources.vectors.times(scale));
          }};
}

}  // namespace sllmr
