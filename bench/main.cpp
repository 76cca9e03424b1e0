// sllmr_bench: how fast the kernels, an epoch and an evaluation are, beside what the memory would allow. Each
// line names its floor; the last line is one JSON object. See bench/README.md.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/company.h"
#include "bench/growth.h"
#include "bench/load.h"
#include "bench/measure.h"
#include "bench/models.h"
#include "bench/report.h"
#include "bench/scores.h"
#include "bench/step_world.h"
#include "host/base/atomic_file.h"
#include "host/data/import.h"
#include "host/data/synthetic.h"
#include "host/eval/ranking.h"
#include "host/runs/provenance.h"
#include "host/train/mf_trainer.h"
#include "kernels/embedding.h"

namespace sllmr::bench {

namespace {

constexpr double kPairRate = 1.0 / 8;
constexpr double kMostSpread = 0.15;  // of a figure that can be trusted

/// Tells of other processes. Returns the cores that they keep busy.
double look_at_load(const char* when) {
  const double cores = foreign_cores(0.3);
  if (cores > 0.1) {
    fmt::print(stderr, "warning: other processes keep {:.1f} of {} cores busy {} the measurement\n", cores,
               std::thread::hardware_concurrency(), when);
  }
  return cores;
}

struct Options {
  bool quick = false, models = false, growth = false, company = false, noisy = false;
  std::string device = "auto", json, data;
  ModelsOptions model;
  int threads = 0;
};

/// Bytes a second, read and written, of copying `bytes` of memory row by row on the device.
Figure copy_rate(const Context& context, const Stopwatch& watch, std::size_t bytes) {
  constexpr int kWidth = 1024;
  const std::size_t rows = bytes / (kWidth * sizeof(float));
  std::vector<Id> ids(rows);
  for (std::size_t k = 0; k < rows; ++k) ids[k] = static_cast<Id>(k);
  const Buffer<Id> order(context, std::span<const Id>(ids));
  const Buffer<float> from(context, rows * kWidth);
  Buffer<float> to(context, rows * kWidth);
  const GatherRows copy{.table = {from.data(), std::ssize(ids), kWidth},
                        .ids = order.data(),
                        .out = {to.data(), std::ssize(ids), kWidth}};
  return watch.time([&] { run(context, copy); })
      .rate(2.0 * static_cast<double>(rows) * kWidth * sizeof(float));
}

std::string roofline(const StepWorld& world, double pair_rate, double triples_per_s, double copy) {
  const double bytes = world.floor_bytes(pair_rate);
  return fmt::format("floor {:.0f} B a triple: {:.1f} GB/s, {:.2f} of copy", bytes,
                     bytes * triples_per_s / 1e9, bytes * triples_per_s / copy);
}

/// The fused step alone, on tables as large as Beauty's.
void bench_step(const Context& context, const Stopwatch& watch, double copy, Report& report) {
  const StepShape shape;
  const StepWorld world(context, shape);
  const auto triples = static_cast<double>(shape.triples);
  const auto times = watch.compare([&] { world.pass(context, 0); }, [&] { world.pass(context, kPairRate); });
  const Figure rate = times.base.rate(triples);
  report.add("mf_bpr_triples_per_s", rate, 1e-6, "M/s", roofline(world, 0, rate.median, copy));
  report.add(
      "mf_selective_overhead_step", times.ratio, 1, "x",
      fmt::format("one LLM pair every 8 rows; floor by bytes {:.3f}", world.floor_overhead(kPairRate)));
  StepShape other = shape;
  other.objective = "calibrated";
  const StepWorld calibrated(context, other);
  report.add(
      "mf_calibrated_step_ratio",
      watch.compare([&] { world.pass(context, kPairRate); }, [&] { calibrated.pass(context, kPairRate); })
          .ratio,
      1, "x", "that step under calibrated, confident and soft over agreement, learned and hinge");
  report.json["mf_bpr_floor_bytes"] = world.floor_bytes(0);
  report.json["mf_selective_overhead_step_floor"] = world.floor_overhead(kPairRate);
}

Work epochs_of(MfTrainer& trainer) {
  return [&trainer] { trainer.train_epoch([](std::int64_t) { return false; }); };
}

/// Whole epochs by the trainer: shuffling, negative sampling, pair sampling, steps, the gate's steps.
void bench_epochs(Context& context, const Stopwatch& watch, const Split& split, Report& report) {
  const ScoreTable table = random_scores(split);
  Config none;
  none.method = "none";
  Config selective;
  selective.method = "agreement";
  selective.llm.pair_rate = kPairRate;
  MfTrainer base(context, none, split, {}), gated(context, selective, split, {&table});
  const auto rows = static_cast<double>(base.rows_per_epoch());
  const auto times = watch.compare(epochs_of(base), epochs_of(gated));
  report.add("mf_epoch_triples_per_s", times.base.rate(rows), 1e-6, "M/s",
             "with shuffling and negative sampling; floor: the kernel alone");
  report.add("mf_selective_overhead", times.ratio, 1, "x",
             "the same with a pair every 8 rows, its sampling and the gate's steps");
  Config confident = selective;
  confident.method = "calibrated";
  MfTrainer calibrated(context, confident, split, {&table});
  report.add("mf_calibrated_ratio", watch.compare(epochs_of(gated), epochs_of(calibrated)).ratio, 1, "x",
             "those epochs under calibrated over agreement, matched probes' sampling included");

  for (const int batch : {128, 4096}) {
    Config exact = none;
    exact.train.mode = TrainConfig::Mode::exact;
    exact.train.optimizer = OptimizerKind::lazy_adam;
    exact.train.lr = 1e-3;
    exact.train.batch_size = batch;
    MfTrainer trainer(context, exact, split, {});
    const std::string key =
        batch == 128 ? "mf_exact_triples_per_s" : fmt::format("mf_exact_{}_triples_per_s", batch);
    report.add(key, watch.time(epochs_of(trainer)).rate(rows), 1e-6, "M/s",
               fmt::format("lazy Adam, batches of {}, bitwise repeatable", batch));
  }
}

/// A model that has learned: where its scores lie decides how many of them are computed in full.
void bench_ranking(Context& context, const Stopwatch& watch, const Split& split, Report& report) {
  constexpr int kEpochs = 20;
  Config config;
  config.method = "none";
  config.train.lr = 0.2;
  config.train.l2 = 0.1;
  MfTrainer trainer(context, config, split, {});
  for (int epoch = 0; epoch < kEpochs; ++epoch) epochs_of(trainer)();
  const Mf& model = trainer.model();
  const std::vector<int> top_k{10, 20};
  double users = 0;
  const Figure time = watch.time([&] {
    users = static_cast<double>(evaluate_full(context, model, split, Target::test, top_k).rows.size());
  });
  const double flops = 2.0 * model.width() * split.data->items.count();
  const Figure rate = time.rate(users);
  report.add("full_rank_users_per_s", rate, 1e-3, "k/s",
             fmt::format("{} items each: {:.0f} GFLOP/s of products, counted in the same pass",
                         split.data->items.count(), flops * rate.median / 1e9));
}

/// The fused step over widths, optimisers and pair rates, and once more where nothing fits a cache.
void sweep(const Context& context, const Stopwatch& watch, double copy, Report& report) {
  const auto measure = [&](const StepShape& shape) {
    const StepWorld world(context, shape);
    const auto triples = static_cast<double>(shape.triples);
    const double gigabytes =
        4e-9 * shape.width * (static_cast<double>(shape.user_rows) + static_cast<double>(shape.item_rows));
    nlohmann::ordered_json row{
        {"width", shape.width}, {"optimizer", info_of(shape.optimizer).name}, {"tables_gb", gigabytes}};
    for (const double pair_rate : {0.05, kPairRate, 1.0}) {
      const auto times =
          watch.compare([&] { world.pass(context, 0); }, [&] { world.pass(context, pair_rate); });
      if (!row.contains("triples_per_s")) {
        const double rate = times.base.rate(triples).median;
        row["triples_per_s"] = rate;
        row["of_copy"] = rate * world.floor_bytes(0) / copy;
        fmt::print("width {:>3} {:<9} {:5.2f} GB: {:9.2f} M/s, {}\n", shape.width,
                   info_of(shape.optimizer).name, gigabytes, rate / 1e6, roofline(world, 0, rate, copy));
      }
      row["overhead"].push_back({{"pair_rate", pair_rate},
                                 {"ratio", times.ratio.median},
                                 {"low", times.ratio.low},
                                 {"high", times.ratio.high},
                                 {"floor", world.floor_overhead(pair_rate)}});
      fmt::print("    pairs on {:5.3f} of the rows: {:.3f} x (floor {:.3f}, {:.3f} to {:.3f})\n", pair_rate,
                 times.ratio.median, world.floor_overhead(pair_rate), times.ratio.low, times.ratio.high);
      std::fflush(stdout);
    }
    report.json["sweep"].push_back(std::move(row));
  };
  // Enough rows to run through any cache; a CPU takes seconds for more.
  const bool cpu = context.device() == Device::cpu;
  StepShape shape;
  shape.triples = std::int64_t{1} << (cpu ? 17 : 20);
  for (const OptimizerInfo& optimizer : kOptimizers) {
    if (optimizer.every_row) continue;
    shape.optimizer = optimizer.kind;
    for (const int width : {32, 64, 128, 256}) {
      shape.width = width;
      measure(shape);
    }
  }
  constexpr Id kLargeRows = 1 << 22;  // two tables of 1 GiB at width 64
  for (const OptimizerInfo& optimizer : kOptimizers) {
    if (optimizer.every_row) continue;
    measure({64, optimizer.kind, kLargeRows, kLargeRows, std::int64_t{1} << (cpu ? 19 : 22)});
  }
}

/// The most memory this process ever held, from the kernel's books; 0 where there are none.
std::int64_t peak_host_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return 1024 * std::stoll(line.substr(6));
  }
  return 0;
}

Dataset load(const Options& options) {
  if (!options.data.empty()) return load_dataset(options.data);
  const std::string beauty = "../shared/data/amazon/beauty";
  if (std::filesystem::exists(beauty + ".inter")) return load_dataset(beauty);
  SyntheticOptions world;
  world.users = 22363;
  world.items = 12101;
  world.mean_history = 3.88;  // 198,502 interactions in all, about
  return synthetic_dataset(world);
}

void run(const Options& options) {
  std::optional<AtomicFile> file;  // opened first: a path that cannot be written should not cost a run
  if (!options.json.empty()) file.emplace(options.json);
  Context context(parse_device(options.device), options.threads);
  const bool cpu = context.device() == Device::cpu;
  const Dataset data = options.growth ? Dataset() : load(options);
  const Split split = options.growth ? Split() : leave_one_out(data);
  const DeviceInfo device = list_devices()[cpu ? 0 : 1];
  const std::string source = data.source.empty() ? "synthetic" : data.source;
  fmt::print("{}, {} threads; data: {}", device.name, context.threads(), source);
  if (!options.growth) {
    fmt::print(", {} users, {} items, {} interactions", data.users.count(), data.items.count(),
               data.interactions());
  }
  fmt::print("\n");

  Report report;
  const double load_before = look_at_load("before"), distance_before = core_round_trip();
  if (distance_before > 0)
    fmt::print("a cache line's way to another core and back: {:.0f} ns\n", distance_before);
  report.json["provenance"] = provenance(cpu ? "" : device.name, data.hash);
  report.json["device"] = device.name;
  report.json["threads"] = context.threads();
  report.json["data"] = source;
  report.json["noisy"] = options.noisy;
  const Stopwatch watch(context, options.quick ? Effort{9, 0.1} : Effort{15, 0.2});
  const Figure copy = copy_rate(context, watch, std::size_t{1} << (cpu ? 28 : 30));
  report.add("copy_bytes_per_s", copy, 1e-9, "GB/s", "read + written; the memory's own pace, in this run");
  report.add("copy_cached_bytes_per_s", copy_rate(context, watch, std::size_t{4} << 20), 1e-9, "GB/s",
             "the same within 8 MiB, which is what Beauty's tables take");
  if (options.models) {
    bench_models(context, watch, split, options.model, report);
  } else if (options.growth) {
    bench_growth(context, report);
  } else if (options.company) {
    bench_company(context, split, report);
  } else {
    bench_step(context, watch, copy.median, report);
    bench_epochs(context, watch, split, report);
    bench_ranking(context, watch, split, report);
  }
  if (!options.quick && !options.models && !options.growth && !options.company)
    sweep(context, Stopwatch(context, {5, 0.05}), copy.median, report);

  report.json["foreign_cores"] = {load_before, look_at_load("after")};
  report.json["core_round_trip_ns"] = {distance_before, core_round_trip()};
  report.json["device_peak_bytes"] = device_peak_bytes(context.device());
  report.json["host_peak_bytes"] = peak_host_bytes();
  fmt::print("memory: {:.1f} MiB on the device at most, process {:.1f} MiB\n",
             static_cast<double>(device_peak_bytes(context.device())) / (1 << 20),
             static_cast<double>(peak_host_bytes()) / (1 << 20));
  if (const std::string names = report.varied(kMostSpread); !names.empty() && !options.noisy) {
    throw Error(
        fmt::format("{} varied by more than {:.0f} %, so nothing is kept: run again when nothing else "
                    "runs, or accept that with --noisy",
                    names, 100 * kMostSpread));
  }
  const std::string line = report.json.dump();
  if (file) {
    file->stream() << line << '\n';
    file->commit();
  }
  fmt::print("{}\n", line);
}

}  // namespace

}  // namespace sllmr::bench

int main(int argc, char** argv) {
  sllmr::bench::Options options;
  CLI::App app("Speed of sllmr on this machine. The last line of the output is one JSON object.");
  app.add_flag("--quick", options.quick, "the main figures only, fewer and shorter samples");
  app.add_flag("--models", options.models, "the deep backbones instead: epochs, the penalty's cost, memory");
  app.add_flag("--growth", options.growth,
               "instead: the cost of a training row from 100,000 to 50 million made-up interactions; 5 GB")
      ->excludes("--models")
      ->excludes("--quick");
  app.add_flag("--company", options.company, "instead: training beside a busy process, over training alone")
      ->excludes("--models")
      ->excludes("--quick")
      ->excludes("--growth");
  app.add_flag(
      "--noisy", options.noisy,
      fmt::format("accept figures that vary by more than {:.0f} %", 100 * sllmr::bench::kMostSpread));
  app.add_option("--backbones", options.model.backbones, "with --models: these only")
      ->needs("--models")
      ->check(CLI::IsMember(options.model.backbones));
  app.add_option("--extra", options.model.extras, "with --models: which extra vectors; several: in turn")
      ->needs("--models")
      ->check(CLI::IsMember(sllmr::bench::benched_extras()))
      ->capture_default_str();
  app.add_option("--batch", options.model.batch, "with --models: rows a batch")
      ->needs("--models")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI::Option* torch =
      app.add_option(
             "--torch", options.model.torch,
             "with --models: a Python that has torch, to time bench/peers/ctr_torch.py in the same run")
          ->needs("--models");
  app.add_flag("--torch-compiled", options.model.compiled, "that peer under torch.compile too")->needs(torch);
  app.add_option("--device", options.device, "auto, cpu or cuda")->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads; 0: all");
  app.add_option("--data", options.data,
                 "interactions to train on (default: Amazon Beauty, or made up like it)")
      ->excludes("--growth");
  app.add_option("--json", options.json, "also write the JSON object to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    sllmr::bench::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "sllmr_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
