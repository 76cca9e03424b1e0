// KAR (Xi et al., RecSys 2024) as LLM-CF's authors compare it: what an encoder says of the history and of the
// item, through a hybrid-expert adaptor, as one more input of the backbone. KAR has an LLM write those texts;
// of vectors of the items' own texts this is KAR-text.
#include "models/extra/expert_adaptor.h"

#include "host/guidance/guidance.h"

namespace sllmr {
namespace {

constexpr const char *kScale = "kar.scale", *kHidden = "kar.hidden", *kShared = "kar.shared",
                     *kOwn = "kar.own", *kDropout = "kar.dropout";

/// Without the vectors.
ExpertAdaptorOptions options_of(const Config& config) {
  const auto& hidden = config.part<std::vector<std::int64_t>>(kHidden);
  return {.vectors = {},
          .hidden = {hidden.begin(), hidden.end()},
          .shared = static_cast<int>(config.part<std::int64_t>(kShared)),
          .own = static_cast<int>(config.part<std::int64_t>(kOwn)),
          .dropout = config.part<double>(kDropout)};
}

}  // namespace

GuidanceInfo kar_guidance() {
  constexpr double kMostUnits = 4096, kMostExperts = Experts<float>::kMax;
  return {.name = "kar",
          .summary = "KAR: vectors of the history's and the item's texts, through experts, as one more input",
          .words = {"kar"},
          .reads = [](const Config&) { return GuidanceReads{.scores = false, .vectors = true}; },
          .keys = {{kScale, 1.0, "factor of the vectors, which have norm 1; 0 leaves them out", {}, 0, 1e3},
                   {kHidden,
                    std::vector<std::int64_t>{128},
                    "units of an expert's layers below its output",
                    {},
                    1,
                    kMostUnits},
                   {kShared, std::int64_t{2}, "experts that both towers share", {}, 0, kMostExperts},
                   {kOwn, std::int64_t{3}, "experts of each tower alone", {}, 0, kMostExperts},
                   {kDropout, 0.1, "dropout behind every layer of an expert", {}, 0, 0.99}},
          .check = [](const Config& config) { require_experts(options_of(config)); },
          .make = [](const GuidanceSetup& setup) { return std::make_unique<Guidance>(setup); },
          .extra = [](const Config& config,
                      const ExtraSources& sources) -> std::shared_ptr<const ExtraVectorMaker> {
            const double scale = config.part<double>(kScale);
            if (scale == 0) return nullptr;
            ExpertAdaptorOptions options = options_of(config);
            options.vectors = sources.vectors.times(scale);
            return expert_adaptor(options);
          }};
}

}  // namespace sllmr
