#include "bench/models.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "bench/scores.h"
#include "host/train/deep_trainer.h"
#include "models/registry.h"

namespace sllmr::bench {

namespace {

constexpr std::int64_t kStretch = 2048;  // rows of a measured piece of an epoch: 16 batches
constexpr int kPeerSteps = 200;

/// LLM-CF's settings, 16 pairs a batch.
Config config_of(std::string_view backbone, const char* method) {
  const std::vector<std::string> overrides = {"model.name=" + std::string(backbone),
                                              "model.width=32",
                                              "train.loss=bce",
                                              "train.mode=exact",
                                              "train.optimizer=adam",
                                              "train.lr=0.01",
                                              "train.l2=1e-4",
                                              "train.batch_size=128",
                                              fmt::format("train.chunk_rows={}", kStretch),
                                              "eval.protocol=ctr",
                                              "llm.pair_rate=0.125",
                                              fmt::format("method={}", method)};
  return load_config("", overrides);
}

/// One trainer and what it needs; work() is a stretch of an epoch.
class Trained {
 public:
  Trained(Context& context, std::string_view backbone, const char* method, const Split& split,
          const ScoreTable& table)
      : config_(config_of(backbone, method)),
        trainer_(context, config_, resolve_method(config_), split, &table) {}
  Work work() {
    return [this] { trainer_.train_epoch([](std::int64_t) { return true; }); };
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

/// Seconds an epoch of the eager PyTorch peer takes, on the same device and as many threads. Throws Error
/// where it fails.
double peer_seconds(const std::string& torch, std::string_view backbone, const Split& split,
                    const Context& context) {
  std::string data = split.data->source;
  if (data.ends_with(".inter")) data.resize(data.size() - 6);
  const std::string command = fmt::format(
      "'{}' bench/peers/ctr_torch.py --backbone {} --data '{}' --steps {} --threads {} --device {}", torch,
      backbone, data, kPeerSteps, context.threads(), context.device() == Device::cuda ? "cuda" : "cpu");
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

}  // namespace

std::vector<std::string> benched_models() {
  std::vector<std::string> names;
  for (const BackboneInfo& backbone : backbones()) {
    if (backbone.name != "mf") names.emplace_back(backbone.name);  // timed with its own kernel
  }
  return names;
}

void bench_models(Context& context, const Stopwatch& watch, const Split& split,
                  const std::vector<std::string>& names, const std::string& torch, Report& report) {
  const ScoreTable table = random_scores(split);
  for (const std::string& name : names) {
    const BackboneInfo& backbone = *find_backbone(name);
    nlohmann::ordered_json& row = report.json["models"][std::string(backbone.name)];
    const std::size_t before = device_bytes(context.device());
    Context own(context.device(), context.threads());  // with a pool of its own, to be measured
    Trained none(own, backbone.name, "none", split, table);
    none.work()();
    const std::size_t held = device_bytes(context.device()) - before;
    const std::size_t needed = state_bytes(none.trainer()) + own.pool().peak_bytes();
    Trained open(own, backbone.name, "agreement", split, table),
        shut(own, backbone.name, "never", split, table);

    const auto with_open = watch.compare(none.work(), open.work());
    const auto with_shut = watch.compare(none.work(), shut.work());
    const double stretches = static_cast<double>(none.trainer().rows_per_epoch()) / kStretch;
    const double seconds = with_open.base.median * stretches;
    row["epoch_seconds"] = seconds;
    row["step_ms"] = 1e3 * with_open.base.median / (static_cast<double>(kStretch) / 128);
    row["selective_overhead_open"] = with_open.ratio.median;
    row["selective_overhead_shut"] = with_shut.ratio.median;
    row["memory_bytes"] = held;
    row["memory_ratio"] = static_cast<double>(held) / static_cast<double>(needed);
    const Figure ranking = ranking_rate(own, split, none.trainer());
    row["full_rank_users_per_s"] = ranking.median;
    std::string peer;
    if (!torch.empty()) {
      const double theirs = peer_seconds(torch, backbone.name, split, context);
      row["torch_epoch_seconds"] = theirs;
      row["torch_ratio"] = theirs / seconds;
      peer = fmt::format("; eager PyTorch {:6.2f} s, {:.1f} x", theirs, theirs / seconds);
    }
    fmt::print(
        "{:<9} {:6.2f} s an epoch (+-{:.0f} %){}; penalty open {:.3f} x, shut {:.3f} x; {:.1f} MiB, {:.2f} "
        "of parameters, optimiser and activations; ranks {:.1f} users/s\n",
        backbone.name, seconds, 100 * with_open.base.spread(), peer, with_open.ratio.median,
        with_shut.ratio.median, static_cast<double>(held) / (1 << 20),
        static_cast<double>(held) / static_cast<double>(needed), ranking.median);
    std::fflush(stdout);
  }
}

}  // namespace sllmr::bench
