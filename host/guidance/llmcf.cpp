// LLM-CF (Sun et al., CIKM 2024): a transformer reads alike training rows beside the row, with their labels
// and, but for the form without chains of thought, a text that tells what was decided; what it makes of the
// row is one more input of the backbone.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "host/eval/protocol.h"
#include "host/guidance/guidance.h"
#include "host/text/decision_texts.h"
#include "host/text/encoder.h"
#include "host/text/example_retrieval.h"
#include "host/text/written_vectors.h"
#include "models/extra/in_context.h"
#include "models/initial.h"

namespace sllmr {
namespace {

constexpr const char *kWithoutChains = "llmcf_wocot", *kOfFile = "llmcf", *kChains = "llmcf.chains",
                     *kScale = "llmcf.scale", *kShare = "llmcf.share", *kPoolSeed = "llmcf.pool_seed",
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

/// Whose draw the pool is.
std::uint64_t pool_seed(const Config& config) {
  const std::int64_t own = config.part<std::int64_t>(kPoolSeed);
  return own != 0 ? static_cast<std::uint64_t>(own) : config.seed;
}

/// Throws Error for chains of another pool than the run's.
void require_pool(const WrittenVectors& chains, const Config& config) {
  const auto check = [&](const char* what, const std::string& now) {
    const std::string then = chains.origin.value(what, now);
    require(
        then == now,
        fmt::format("llmcf.chains={0}: the chains are of the examples that {1}={2} draws, where the run has "
                    "{1}={3}; train with that, or write the run's chains (sllmr llm ask --share {4:g} --seed "
                    "{5}) and embed them",
                    config.part<std::string>(kChains), what == std::string("share") ? kShare : kPoolSeed,
                    then, now, config.part<double>(kShare), pool_seed(config)));
  };
  check("share", nlohmann::json(config.part<double>(kShare)).dump());
  check("seed", std::to_string(pool_seed(config)));
}

/// The direction of the chains' sum of either label, for examples that have none.
std::array<std::vector<double>, 2> means_by_label(const WrittenVectors& chains) {
  const auto width = static_cast<std::size_t>(chains.width);
  std::array<std::vector<double>, 2> sums{std::vector<double>(width), std::vector<double>(width)};
  for (std::size_t k = 0; k < chains.subjects.size(); ++k) {
    std::vector<double>& sum = sums[chains.subjects[k].label != 0 ? 1 : 0];
    for (std::size_t d = 0; d < width; ++d) sum[d] += static_cast<double>(chains.values[k * width + d]);
  }
  for (std::vector<double>& sum : sums) {
    double squares = 0;
    for (const double x : sum) squares += x * x;
    for (double& x : sum) x /= squares > 0 ? std::sqrt(squares) : 1;
  }
  return sums;
}

/// The chain of each example of a pool, found by user, item and position; -1 for none. Throws Error for
/// chains of another pool, and where too many examples have none.
std::vector<std::ptrdiff_t> chain_of_each(const Config& config, const WrittenVectors& chains,
                                          std::span<const FeatureRow> pool,
                                          std::span<const std::int8_t> labels) {
  constexpr double kMostMissing = 0.2;  // as of bad answers
  const auto& path = config.part<std::string>(kChains);
  require_pool(chains, config);
  std::map<std::tuple<Id, Id, std::int32_t>, std::size_t> places;
  for (std::size_t k = 0; k < chains.subjects.size(); ++k) {
    const TextSubject& of = chains.subjects[k];
    places.emplace(std::tuple(of.user, of.item, of.position), k);
  }
  std::vector<std::ptrdiff_t> of_each;
  std::size_t found = 0;
  for (std::size_t k = 0; k < pool.size(); ++k) {
    const auto place = places.find(std::tuple(pool[k].user, pool[k].item, pool[k].position));
    const bool known = place != places.end() && chains.subjects[place->second].label == labels[k];
    found += known;
    of_each.push_back(known ? static_cast<std::ptrdiff_t>(place->second) : -1);
  }
  require(
      found == chains.subjects.size(),
      fmt::format("llmcf.chains={}: {} of its {} chains are of the run's {} examples: it is of another pool; "
                  "write the run's (sllmr llm ask --share {:g} --seed {}) and embed them",
                  path, found, chains.subjects.size(), pool.size(), config.part<double>(kShare),
                  pool_seed(config)));
  const std::size_t missing = pool.size() - found;
  require(static_cast<double>(missing) <= kMostMissing * static_cast<double>(pool.size()),
          fmt::format(
              "llmcf.chains={}: {} of the run's {} examples have no chain, and {:g} of them may lack one; "
              "ask again for those whose answers were bad (sllmr llm ask, the same command)",
              path, missing, pool.size(), kMostMissing));
  return of_each;
}

/// The LLM's chains of thought [examples x width].
std::vector<float> read_chains(const Config& config, const ExtraSources& sources) {
  const auto& path = config.part<std::string>(kChains);
  const WrittenVectors chains = load_written_vectors(path, Subject::example, *sources.data);
  require_same_space(chains, "llmcf.chains=" + path, sources.vectors.width, sources.encoder);
  const auto labels = sources.examples->labels();
  const std::vector<std::ptrdiff_t> of_each = chain_of_each(config, chains, sources.examples->pool(), labels);
  const auto means = means_by_label(chains);
  std::vector<float> values;
  for (std::size_t k = 0; k < of_each.size(); ++k) {
    if (of_each[k] < 0) {
      const std::vector<double>& mean = means[labels[k] != 0 ? 1 : 0];
      values.insert(values.end(), mean.begin(), mean.end());
    } else {
      const auto from = chains.values.begin() + of_each[k] * chains.width;
      values.insert(values.end(), from, from + chains.width);
    }
  }
  return values;
}

void check_chains(const Config& config, const Split& split, const TextVectors* vectors) {
  const auto& path = config.part<std::string>(kChains);
  const WrittenVectors chains = load_written_vectors(path, Subject::example, *split.data);
  if (vectors != nullptr)
    require_same_space(chains, "llmcf.chains=" + path, vectors->width, encoder_told(vectors->origin));
  const ExamplePool pool = example_pool(split, config.part<double>(kShare), pool_seed(config));
  chain_of_each(config, chains, pool.rows, pool.labels);
}

/// Vectors of the examples' chains of thought, or of what stands for them, in the encoder's space; none
/// without chains.
ItemVectors chains_of(const Config& config, const ExtraSources& sources) {
  if (config.method == kWithoutChains) return {};
  if (config.method == kOfFile)
    return {sources.vectors.width, std::make_shared<const std::vector<float>>(read_chains(config, sources))};
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
      .words = {kWithoutChains, "llmcf_text", kOfFile},
      .reads = [](const Config&) { return GuidanceReads{.scores = false, .vectors = true}; },
      .files =
          [](const Config& config) {
            const bool reads = config.method == kOfFile && config.part<double>(kScale) != 0;
            return reads ? std::vector<std::string>{config.part<std::string>(kChains)}
                         : std::vector<std::string>();
          },
      .check_files = check_chains,
      .keys = {{kScale, 1.0, "factor of the vectors, which have norm 1; 0 leaves LLM-CF out", {}, 0, 1e3},
               {kShare, 0.1, "share of the training rows that may be examples", {}, 1e-6, 1},
               {kPoolSeed, std::int64_t{0}, "seed of the examples' draw; 0: the run's", {}, 0, 2147483647},
               {kQuirks, false, "the release's leak: a row may be its own example"},
               {kText,
                std::vector<std::int64_t>{256},
                "units between a text vector and a token",
                {},
                1,
                kMostUnits},
               {kReconstruction,
                1.0,
                "weight of the loss that has chains foreseen (llmcf_text, llmcf)",
                {},
                0,
                1e3},
               {kChains, std::string(),
                "vectors of the examples' chains of thought (sllmr llm embed --texts), of method=llmcf"},
               {kJoint,
                std::vector<std::int64_t>{128},
                "units between a row's parts and its token",
                {},
                1,
                kMostUnits}},
      .unused_own =
          [](const Config& config, std::string_view key) {
            if (config.method == kWithoutChains && key == kReconstruction)
              return std::string("method=llmcf_wocot has no chains; see llmcf_text");
            return config.method != kOfFile && key == kChains
                       ? "method=" + config.method + " reads no chains; see method=llmcf"
                       : std::string();
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
                config.method != kOfFile || !config.part<std::string>(kChains).empty(),
                "method=llmcf needs llmcf.chains, vectors of the chains of thought that an LLM wrote (sllmr "
                "llm ask, then sllmr llm embed --texts); without an LLM see method=llmcf_text");
            require(config.method != "llmcf_text" || makes_more_in_training(find_encoder(config.llm.encoder)),
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
                             .seed = pool_seed(config),
                             .threads = Context(Device::cpu, config.threads).threads(),
                             .max_history = config.data.max_history,
                             .release_quirks = config.part<bool>(kQuirks)});
      }};
}

}  // namespace sllmr
