// LLM-CF (Sun et al., CIKM 2024): a transformer reads alike training rows beside the row, with their labels
// and, but for the form without chains of thought, a text that tells what was decided; what it makes of the
// row is one more input of the backbone.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/eval/protocol.h"
#include "host/guidance/guidance.h"
#include "host/text/decision_texts.h"
#include "host/text/encoder.h"
#include "host/text/example_retrieval.h"
#include "models/extra/in_context.h"
#include "models/initial.h"

namespace sllmr {
namespace {

constexpr const char *kWithoutChains = "llmcf_wocot", *kScale = "llmcf.scale", *kShare = "llmcf.share",
                     *kQuirks = "llmcf.release_quirks", *kText = "llmcf.text_hidden",
                     *kJoint = "llmcf.joint_hidden", *kReconstruction = "llmcf.reconstruction";

std::vector<int> sizes(const Config& config, const char* key) {
  const auto& given = config.part<std::vector<std::int64_t>>(key);
  return {given.begin(), given.end()};
}

/// A stand-in that knows the items' words alone is deaf to "buys" and "does not buy": the decision becomes a
/// direction of its own, drawn once and as long as the text, towards it or away; vectors [rows x width] keep
/// norm 1.
void add_decisions(std::span<const std::int8_t> labels, std::vector<float>& vectors) {
  const std::size_t width = vectors.size() / labels.size();
  std::vector<float> direction(width);
  draw_initial(Context(Device::cpu, 1), Initial::normal(1.0 / std::sqrt(static_cast<double>(width))),
               {.seed = 1, .purpose = Purpose::sketch, .stream = 1}, 0, std::span(direction));
  for (std::size_t k = 0; k < labels.size(); ++k) {
    const auto row = std::span(vectors).subspan(k * width, width);
    const float sign = labels[k] != 0 ? 1.0F : -1.0F;
    float squares = 0;
    for (std::size_t d = 0; d < width; ++d) {
      row[d] += sign * direction[d];
      squares += row[d] * row[d];
    }
    for (float& x : row) x /= std::sqrt(squares);
  }
}

/// Vectors of what stands for the examples' chains of thought, in the encoder's space; none without chains.
ItemVectors chains_of(const Config& config, const ExtraSources& sources) {
  if (config.method == kWithoutChains) return {};
  const auto labels = sources.examples->labels();
  const std::vector<std::string> texts =
      decision_texts(*sources.data, sources.examples->pool(), labels, config.data.max_history);
  std::vector<float> vectors = more_vectors_of(config, *sources.data, texts);
  require(std::ranges::any_of(vectors, [](float x) { return x != 0; }),
          "method=llmcf_text: no title has a word that the encoder knows; give the items titles, or use "
          "method=llmcf_wocot");
  add_decisions(labels, vectors);
  return {sources.vectors.width, std::make_shared<const std::vector<float>>(std::move(vectors))};
}

}  // namespace

GuidanceInfo llmcf_guidance() {
  constexpr double kMostUnits = 4096;
  return {
      .name = "llmcf",
      .summary = "LLM-CF: a transformer over alike, labelled training rows makes one more input",
      .words = {kWithoutChains, "llmcf_text"},
      .reads = [](const Config&) { return GuidanceReads{.scores = false, .vectors = true}; },
      .keys = {{kScale, 1.0, "factor of the vectors, which have norm 1; 0 leaves LLM-CF out", {}, 0, 1e3},
               {kShare, 0.1, "share of the training rows that may be examples", {}, 1e-6, 1},
               {kQuirks, false, "the release's leak: a row may be its own example"},
               {kText,
                std::vector<std::int64_t>{256},
                "units between a text vector and a token",
                {},
                1,
                kMostUnits},
               {kReconstruction, 1.0, "weight of the loss that has chains foreseen (llmcf_text)", {}, 0, 1e3},
               {kJoint,
                std::vector<std::int64_t>{128},
                "units between a row's parts and its token",
                {},
                1,
                kMostUnits}},
      .unused_own =
          [](const Config& config, std::string_view key) {
            return std::string(config.method == kWithoutChains && key == kReconstruction
                                   ? "method=llmcf_wocot has no chains; see llmcf_text"
                                   : "");
          },
      .check =
          [](const Config& config) {
            require(config.model.width % 4 == 0,
                    fmt::format("method={} has a transformer of two heads, with pairs of numbers each: "
                                "model.width={} is not a multiple of 4",
                                config.method, config.model.width));
            require(find_protocol(config).fixed_negatives,
                    "method=" + config.method +
                        " retrieves the examples of every row that is scored, which only a protocol with "
                        "fixed rows affords: use eval.protocol=ctr");
            require(
                config.method == kWithoutChains || find_encoder(config.llm.encoder).encode_more != nullptr,
                "method=" + config.method +
                    " embeds a text of every example, which llm.encoder=" + config.llm.encoder +
                    " cannot while training: use llm.encoder=tfidf, or method=" + kWithoutChains);
          },
      .make = [](const GuidanceSetup& setup) { return std::make_unique<Guidance>(setup); },
      .extra = [](const Config& config,
                  const ExtraSources& sources) -> std::shared_ptr<const ExtraVectorMaker> {
        const double scale = config.part<double>(kScale);
        if (scale == 0) return nullptr;
        const auto labels = sources.examples->labels();
        return in_context({.vectors = sources.vectors.times(scale),
                           .examples = sources.examples->each(),
                           .labels = {labels.begin(), labels.end()},
                           .chains = chains_of(config, sources).times(scale),
                           .text_hidden = sizes(config, kText),
                           .joint_hidden = sizes(config, kJoint),
                           .reconstruction = config.part<double>(kReconstruction)});
      },
      .examples =
          [](const Config& config, const Split& split,
             const std::shared_ptr<const TextVectors>& vectors) -> std::shared_ptr<const ExampleSource> {
        if (config.part<double>(kScale) == 0) return nullptr;
        return std::make_shared<ExampleRetrieval>(
            split, vectors,
            RetrievalOptions{.share = config.part<double>(kShare),
                             .seed = config.seed,
                             .threads = Context(Device::cpu, config.threads).threads(),
                             .max_history = config.data.max_history,
                             .release_quirks = config.part<bool>(kQuirks)});
      }};
}

}  // namespace sllmr
