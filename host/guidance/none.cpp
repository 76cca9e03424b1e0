// The backbone alone.
#include "host/guidance/guidance.h"

namespace sllmr {

GuidanceInfo none_guidance() {
  return {.name = "none",
          .summary = "the backbone alone",
          .words = {"none"},
          .reads = [](const Config&) { return GuidanceReads{.scores = false}; },
          .trains_mf = true,
          .make = [](const GuidanceSetup& setup) { return std::make_unique<Guidance>(setup); }};
}

}  // namespace sllmr
