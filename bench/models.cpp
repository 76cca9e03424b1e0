#include "bench/models.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "bench/scores.h"
#include "bench/vectors.h"
#include "host/guidance/registry.h"
#include "host/train/deep_trainer.h"
#include "models/registry.h"

namespace sllmr::bench {

namespace {

constexpr int kPeerSteps = 200, kPeerRounds = 3;
constexpr int kVectorWidth = 384;  // of all-MiniLM-L6-v2
constexpr const char* kNone = "none";

/// Rows of a measured piece of an epoch: about 16 batches, so that the pieces of an epoch are alike.
std::int64_t chunk_rows_of(std::int64_t rows, int batch) {
  const std::int64_t batches = (rows + batch - 1) / batch, chunks = (batches + 15) / 16;
  return (batches + chunks - 1) / chunks * batch;
}

/// LLM-CF's settings, a pair for every eighth row.
Config config_of(std::string_view backbone, std::string_view method, int batch, std::int64_t chunk,
                 bool cuda_graph) {
  std::vector<std::string> overrides = {"model.name=" + std::string(backbone),
                                        "model.width=32",
                                        "train.loss=bce",
                                        "train.mode=exact",
                                        "train.optimizer=adam",
                                        "train.lr=0.01",
                                        "train.l2=1e-4",
                                        fmt::format("train.batch_size={}", batch),
                                        fmt::format("train.chunk_rows={}", chunk),
                                        fmt::format("train.cuda_graph={}", cuda_graph),
                                        "eval.protocol=ctr",
                                        "llm.pair_rate=0.125",
                                        fmt::format("method={}", method)};
  // Texts that a method embeds itself have vectors as wide as the items'.
  if (reads_of(load_config("", overrides)).vectors) {
    overrides.push_back(fmt::format("llm.vector_width={}", kVectorWidth));
  }
  return load_config("", overrides);
}

/// One trainer and what it needs; work() is a chunk of an epoch.
class Trained {
 public:
  Trained(Context& context, const Config& config, const Split& split, const GuidanceInputs& inputs)
      : config_(config), trainer_(context, config_, split, inputs) {}
  Work work() {
    return [this] {
      trainer_.train_epoch([this](std::int64_t rows) { return rows % config_.train.chunk_rows == 0; });
    };
  }
  DeepTrainer& trainer() { return trainer_; }

 private:
  Config config_;
  DeepTrainer trainer_;
};

/// Parameters and optimiser state, from their names in a checkpoint.
std::size_t state_bytes(DeepTrainer& trainer) {
  std::size_t bytes = 0;
  for (const NamedBuffer& named : trainer.named_buffers()) {
    std::visit([&](const auto* buffer) { bytes += buffer->size() * sizeof(*buffer->data()); }, named.buffer);
  }
  return bytes;
}

/// Seconds an epoch of the PyTorch peer takes, on the same device and as many threads. `how`: its further
/// options. Throws Error where it fails.
double peer_seconds(const ModelsOptions& options, std::string_view backbone, std::string_view extra,
                    const char* how, const Split& split, const Context& context) {
  std::string data = split.data->source;
  if (data.ends_with(".inter")) data.resize(data.size() - 6);
  const std::string command = fmt::format(
      "'{}' bench/peers/ctr_torch.py --backbone {} --extra {} --vector-width {} --data '{}' --batch {} "
      "--steps {} --threads {} --device {} {}",
      options.torch, backbone, extra, kVectorWidth, data, options.batch, kPeerSteps, context.threads(),
      context.device() == Device::cuda ? "cuda" : "cpu", how);
  FILE* pipe = ::popen(command.c_str(), "r");
  require(pipe != nullptr, "cannot start " + command);
  std::string last, line;
  for (std::array<char, 4096> piece{}; std::fgets(piece.data(), piece.size(), pipe) != nullptr;) {
    line += piece.data();
    if (!line.ends_with('\n')) continue;
    last = std::move(line);
    line.clear();
  }
  require(::pclose(pipe) == 0, "the peer failed (does this Python have torch and numpy?): " + command);
  return nlohmann::json::parse(last).at("seconds_per_epoch").get<double>();
}

/// Users a second of `evaluate_full`; the catalogue is made beforehand.
Figure ranking_rate(const Context& context, const Split& split, DeepTrainer& trainer) {
  constexpr Effort kFewPasses{3, 0};  // xDeepFM ranks a user or two a second
  const int users = context.device() == Device::cpu ? 16 * context.threads() : 512;
  const Scorer& scorer = trainer.scorer(Target::test);
  const int top_k[] = {10};
  const Figure time = Stopwatch(context, kFewPasses).time([&] {
    evaluate_full(context, scorer, split, Target::test, top_k, users);
  });
  return time.rate(users);
}

/// Measures models on one data set.
class ModelsBench {
 public:
  ModelsBench(const Context& context, const Stopwatch& watch, const Split& split,
              const ModelsOptions& options)
      : context_(context),
        watch_(watch),
        split_(split),
        options_(options),
        table_(random_scores(split)),
        inputs_{&table_, random_vectors(split.data->items.count(), kVectorWidth)},
        rows_(static_cast<std::int64_t>(ctr_train_rows(split, Config().seed).size())),
        chunk_(chunk_rows_of(rows_, options.batch)) {}

  /// The backbone with the extra vector of the method `extra`; its figures to `row`, and a line of them.
  /// Returns the time of a chunk.
  Figure measure(const std::string& backbone, const std::string& extra, nlohmann::ordered_json& row) const {
    const std::size_t before = device_bytes(context_.device());
    Context own(context_.device(), context_.threads());  // with a pool of its own, to be measured
    const auto trained = [&](const std::string& method, bool cuda_graph = false) {
      return Trained(own, config_of(backbone, method, options_.batch, chunk_, cuda_graph), split_, inputs_);
    };
    Trained model = trained(extra);
    model.work()();
    const std::size_t held = device_bytes(context_.device()) - before;
    const std::size_t vectors = extra == kNone ? 0 : inputs_.vectors->values.size() * sizeof(float);
    const std::size_t needed = state_bytes(model.trainer()) + own.pool().peak_bytes() + vectors;

    Figure time;
    std::string beside;
    row["batch"] = options_.batch;
    if (extra == kNone) {
      Trained open = trained("agreement"), shut = trained("never");
      const auto with_open = watch_.compare(model.work(), open.work());
      const auto with_shut = watch_.compare(model.work(), shut.work());
      time = with_open.base;
      row["selective_overhead_open"] = with_open.ratio.median;
      row["selective_overhead_shut"] = with_shut.ratio.median;
      beside =
          fmt::format("penalty open {:.3f} x, shut {:.3f} x", with_open.ratio.median, with_shut.ratio.median);
    } else {
      Trained none = trained(kNone);
      const auto with_extra = watch_.compare(none.work(), model.work());
      time = with_extra.work;
      row["extra_overhead"] = with_extra.ratio.median;
      beside = fmt::format("{:.3f} x without the vector", with_extra.ratio.median);
    }
    const double epoch = static_cast<double>(rows_) / static_cast<double>(chunk_);
    const double seconds = time.median * epoch;
    row["epoch_seconds"] = seconds;
    row["step_ms"] = 1e3 * time.median * options_.batch / static_cast<double>(chunk_);
    row["memory_bytes"] = held;
    row["memory_ratio"] = static_cast<double>(held) / static_cast<double>(needed);
    // Every pair of a user and an item would first want its examples.
    if (find_guidance(config_of(backbone, extra, options_.batch, chunk_, false)).examples == nullptr) {
      const Figure ranking = ranking_rate(own, split_, model.trainer());
      row["full_rank_users_per_s"] = ranking.median;
      beside += fmt::format("; ranks {:.1f} users/s", ranking.median);
    }
    if (context_.device() == Device::cuda) {
      Trained graphed = trained(extra, true);
      const double ratio = watch_.compare(model.work(), graphed.work()).ratio.median;
      row["cuda_graph_time_ratio"] = ratio;
      beside += fmt::format("; as a graph {:.2f} x the time", ratio);
    }
    const auto own_seconds = [&] {
      constexpr Effort kBeside{3, 1};
      return Stopwatch(own, kBeside).time(model.work()).median * epoch;
    };
    // In turn with the peer, as Stopwatch::compare: a machine that slows down slows both.
    const auto against = [&](const char* label, const std::string& key, const char* how) {
      std::vector<double> theirs, ratios;
      double last = own_seconds();
      for (int round = 0; round < kPeerRounds; ++round) {
        theirs.push_back(peer_seconds(options_, backbone, extra, how, split_, context_));
        const double next = own_seconds();
        ratios.push_back(theirs.back() / (0.5 * (last + next)));
        last = next;
      }
      const Figure ratio = figure_of(ratios);
      row[key + "_epoch_seconds"] = figure_of(theirs).median;
      row[key + "_ratio"] = ratio.median;
      row[key + "_ratio_spread"] = {ratio.low, ratio.high};
      beside += fmt::format("; {} PyTorch {:6.2f} s, {:.1f} x ({:.1f} to {:.1f})", label,
                            figure_of(theirs).median, ratio.median, ratio.low, ratio.high);
    };
    if (!options_.torch.empty()) against("eager", "torch", "");
    if (options_.compiled) against("compiled", "torch_compiled", "--compile");
    fmt::print(
        "{:<9} {:<11} {:6.2f} s an epoch (+-{:.0f} %); {}; {:.1f} MiB, {:.2f} of parameters, optimiser, "
        "activations{}\n",
        backbone, extra, seconds, 100 * time.spread(), beside, static_cast<double>(held) / (1 << 20),
        static_cast<double>(held) / static_cast<double>(needed), vectors == 0 ? "" : " and item vectors");
    std::fflush(stdout);
    return time;
  }

 private:
  const Context& context_;
  const Stopwatch& watch_;
  const Split& split_;
  const ModelsOptions& options_;
  ScoreTable table_;
  GuidanceInputs inputs_;
  std::int64_t rows_, chunk_;
};

}  // namespace

std::vector<std::string> benched_models() {
  std::vector<std::string> names;
  for (const BackboneInfo& backbone : backbones()) {
    if (backbone.name != "mf") names.emplace_back(backbone.name);  // timed with its own kernel
  }
  return names;
}

std::vector<std::string> benched_extras() {
  std::vector<std::string> names = {kNone};
  for (const GuidanceInfo& method : guidance_methods()) {
    if (method.extra != nullptr) names.insert(names.end(), method.words.begin(), method.words.end());
  }
  return names;
}

void bench_models(const Context& context, const Stopwatch& watch, const Split& split,
                  const ModelsOptions& options, Report& report) {
  const ModelsBench bench(context, watch, split, options);
  for (const std::string& backbone : options.backbones) {
    for (const std::string& extra : options.extras) {
      if (extra != kNone && !find_backbone(backbone)->takes_extra) continue;
      const std::string key = extra == kNone ? backbone : backbone + "_" + extra;
      report.watch(key, bench.measure(backbone, extra, report.json["models"][key]));
    }
  }
}

}  // namespace sllmr::bench
