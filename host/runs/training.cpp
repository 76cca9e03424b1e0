#include "host/runs/training.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "host/base/progress.h"
#include "host/base/resident_memory.h"
#include "host/base/say.h"
#include "host/base/stopwatch.h"
#include "host/eval/protocol.h"
#include "host/guidance/gate_module.h"
#include "host/guidance/registry.h"
#include "host/runs/checkpoint_clock.h"
#include "host/runs/guidance_cost.h"
#include "host/runs/provenance.h"
#include "host/runs/run_folder.h"
#include "host/runs/run_inputs.h"
#include "host/runs/run_ranks.h"
#include "host/runs/validation.h"
#include "host/train/stored_model.h"
#include "host/train/trainer.h"
#include "kernels/exec/device_exchange.h"
#include "kernels/exec/interrupt.h"
#include "kernels/exec/memory_peak.h"

namespace sllmr {

namespace {

constexpr const char* kFormat = "sllmr-checkpoint-1";

// How often the learning rate has decayed.
constexpr const char* kDecays = "lr_decays";
// In the metadata of a checkpoint whose epoch was trained, but whose validation was stopped.
constexpr const char* kValidationDue = "validation_due";

/// Runs of one process have a peak each.
void restart_peaks() {
  restart_peak_resident();
  for (const Device device : {Device::cpu, Device::cuda}) restart_device_peak(device);
}

/// One run, from its folder to its summary.
class Run {
 public:
  Run(const Config& config, bool resume, Communicator& ranks, std::optional<World> world)
      : config_(config),
        reads_(reads_of(config)),
        protocol_(find_protocol(config)),
        monitor_(monitor_of(config, protocol_)),
        ranks_(ranks),
        context_(device_of(config), ranks_.threads(config), &ranks_.communicator()),
        world_(world ? *std::move(world) : load_world(config)) {
    check_protocol(config, world_.split);
    if (reads_.scores) scores_ = std::make_unique<LlmScores>(load_scores(config_, world_.split));
    const auto vectors = vectors_for(config_, *world_.data);
    guidance_cost_ = guidance_cost(config_, reads_);
    inputs_ = run_inputs(*world_.data, scores_ ? scores_->hash : 0, vectors_hash(config_, vectors.get()),
                         gate_files_hash(config_));
    trainer_ = make_trainer(context_, config_, world_.split, {scores_ ? &scores_->table : nullptr, vectors});
    prepare_seconds_ = watch_.seconds();  // what guidance makes beforehand included
    ranks_.require_same(config_, inputs_, context_);
    transport_ = connect_devices(context_, config.transport);
    // Last, so that a run that cannot start leaves no folder.
    if (ranks_.writes()) {
      folder_.emplace(resume ? RunFolder::resume(config.run_dir) : RunFolder::create(config.run_dir, config));
    }
    ranks_.meet();
    if (resume) load_checkpoint();
    if (ranks_.writes()) folder_->write_tokens(*world_.data);
    if (const std::string remark = trainer_->remark(); !remark.empty())
      say(fmt::format("warning: {}", remark));
    if (monitor_.target == Target::test && config_.train.eval_every > 0) say(kChosenByTest);
  }

  nlohmann::json operator()() {
    const InterruptGuard guard;
    first_row_ = rows_taken();
    if (is_over()) {
      nlohmann::json stored = read_summary(config_.run_dir);
      if (ranks_.first_says(!stored.is_null())) return stored;
    }
    // Without an epoch there is one too: every finished run can be evaluated.
    if (is_over() && !ranks_.first_says(std::filesystem::exists(file(kCheckpointFile))))
      save(kCheckpointFile);
    try {
      bool going_on = (!validation_due_ || finish_epoch()) && (is_over() || prepare_training());
      while (going_on && !is_over()) going_on = run_epoch();
      if (going_on) return summarise();
      save(kCheckpointFile);
      say(fmt::format("stopped in epoch {}; continue with --resume", trainer_->epoch() + 1));
    } catch (const Interrupted&) {
      if (validation_due_) save(kCheckpointFile);
      say(fmt::format("stopped in the {}; continue with --resume", validation_due_ ? "validation" : "test"));
    }
    return nullptr;
  }

 private:
  std::string file(const char* name) const { return config_.run_dir + "/" + name; }

  bool is_over() const { return trainer_->epoch() >= config_.train.epochs || done_; }

  /// False: interrupted.
  bool prepare_training() {
    const Stopwatch watch;
    const bool done = !ranks_.any(!trainer_->prepare_training());
    prepare_seconds_ += watch.seconds();
    since_checkpoint_ = {};
    return done;
  }

  /// False: interrupted.
  bool run_epoch() {
    const Stopwatch watch;
    const int epoch = trainer_->epoch() + 1;
    std::optional<Progress> progress;
    if (ranks_.writes()) {
      progress.emplace(fmt::format("epoch {}/{}", epoch, config_.train.epochs), trainer_->rows_per_epoch(),
                       trainer_->unit());
    }
    const auto report = trainer_->train_epoch([&](std::int64_t rows) {
      if (progress) progress->update(rows, loss_text_);
      return ranks_.any(interrupted());
    });
    if (progress) progress->finish();
    train_seconds_ += watch.seconds();
    if (!report) return false;
    last_ = *report;
    loss_text_ = fmt::format("loss {:.4f}", report->loss);
    if (ranks_.writes()) {
      folder_->log({{"event", "epoch"},
                    {"epoch", epoch},
                    {"loss", report->loss},
                    {"rows", report->rows},
                    {"seconds", watch.seconds()}});
      if (!report->guidance.is_null()) {
        nlohmann::json event = report->guidance;
        event["epoch"] = epoch;
        folder_->log_guidance(event);
      }
    }
    validation_due_ = config_.train.eval_every > 0 && epoch % config_.train.eval_every == 0;
    return finish_epoch();
  }

  /// What follows an epoch's training. False: interrupted.
  bool finish_epoch() {
    const int epoch = trainer_->epoch();
    const bool best_is_new = validation_due_ && validate(epoch);
    const bool last = epoch == config_.train.epochs || done_;
    // The best model never runs ahead of the checkpoint that knows of it.
    bool due = best_is_new || checkpoint_is_due(config_.train.checkpoint_every, epoch,
                                                since_checkpoint_.seconds(), checkpoint_seconds_);
    due = ranks_.first_says(due);
    const bool stops = ranks_.any(interrupted());
    if (last || due || stops) {
      const Stopwatch watch;
      save(kCheckpointFile);
      checkpoint_seconds_ = watch.seconds();
      since_checkpoint_ = {};
    }
    return last || !stops;
  }

  nlohmann::json evaluate(Target target) {
    return protocol_.evaluate({context_, config_, *trainer_, world_.split, target}, nullptr);
  }

  /// Is it the best so far?
  bool validate(int epoch) {
    nlohmann::json event = evaluate(monitor_.target);
    validation_due_ = false;
    event["event"] = "validation";
    event["epoch"] = epoch;
    if (monitor_.target == Target::test) event["on"] = "test";
    if (ranks_.writes()) folder_->log(event);
    const bool best = validation_.add(epoch, event.at(monitor_.name).at("all"), monitor_.better);
    if (best)
      save(kBestFile);
    else if (config_.train.lr_decay < 1)
      decay_rate(lr_decays_ + 1);
    done_ = config_.train.patience > 0 && validation_.without_gain >= config_.train.patience;
    return best;
  }

  /// The learning rate is that after so many validations without a gain.
  void decay_rate(int decays) {
    lr_decays_ = decays;
    trainer_->set_learning_rate(decayed_rate(config_.train.lr, config_.train.lr_decay, decays));
  }

  nlohmann::json summarise() {
    const std::int64_t rows = rows_taken() - first_row_;
    if (validation_.best_epoch > 0) {
      const SafetensorsFile best = trainer_->read(file(kBestFile));
      trainer_->load(best);
      last_ = stored_report(best);
      // A killed run may have left a better one than its last checkpoint knew, which asynchronous training
      // need not reach again.
      take_best(best);
    }
    const Stopwatch watch;
    const nlohmann::json test = evaluate(Target::test);
    const double eval_seconds = watch.seconds();
    nlohmann::json summary = provenance(gpu_name(context_), inputs_.data);
    for (const auto& [name, value] : stored_form(inputs_)) summary[name] = value;
    summary["device"] = context_.device() == Device::cpu ? "cpu" : "cuda";
    summary["threads"] = context_.threads();
    if (ranks_.size() > 1) {
      summary["ranks"] = ranks_.size();
      summary["bytes_sent"] = ranks_.communicator().bytes_sent();  // by this one
      if (!transport_.empty()) summary["transport"] = transport_;
    }
    summary["method"] = config_.method;
    summary["seed"] = config_.seed;
    summary["model"] = config_.model.name;
    summary["test"] = test;
    summary["guidance"] = last_.guidance;
    summary["guidance_cost"] = guidance_cost_;
    if (scores_) summary["llm"] = to_json(*scores_);
    summary["epochs"] = trainer_->epoch();
    if (validation_.best_epoch > 0) {
      summary["validation"] = {
          {"monitor", monitor_.name}, {"best", nullptr}, {"best_epoch", validation_.best_epoch}};
      if (monitor_.target == Target::test) summary["validation"]["on"] = "test";
      if (config_.train.lr_decay < 1) summary["validation"]["lr_decays"] = lr_decays_;
      if (validation_.best) summary["validation"]["best"] = *validation_.best;
    }
    summary["loss"] = last_.loss;
    summary["parameters"] = trainer_->parameters();
    summary["seconds"] = {{"prepare", prepare_seconds_},
                          {"train", train_seconds_},
                          {"test", eval_seconds},
                          {"total", watch_.seconds()}};
    if (train_seconds_ > 0) {
      summary[std::string(trainer_->unit()) + "_per_s"] = static_cast<double>(rows) / train_seconds_;
      summary["seconds"]["epoch"] =
          train_seconds_ * static_cast<double>(trainer_->rows_per_epoch()) / static_cast<double>(rows);
    }
    summary["memory"] = {{"peak_resident_bytes", peak_resident_bytes()},
                         {"peak_device_bytes", device_peak_bytes(context_.device())}};
    summary["config"] = to_toml(config_);
    if (ranks_.writes()) folder_->write_summary(summary);
    if (last_.guidance.contains("warning"))
      say(fmt::format("warning: {}", last_.guidance["warning"].get<std::string>()));
    return summary;
  }

  std::int64_t rows_taken() const { return trainer_->epoch() * trainer_->rows_per_epoch() + trainer_->row(); }

  void save(const char* name) {
    const InterruptDelay whole;
    std::map<std::string, std::string> metadata = stored_form(inputs_);
    metadata.insert({{"format", kFormat},
                     {"config", to_toml(decisive(config_))},
                     {"last_report", to_json(last_).dump()},
                     {"best_epoch", std::to_string(validation_.best_epoch)},
                     {"without_gain", std::to_string(validation_.without_gain)}});
    if (validation_.best) metadata.emplace("best", fmt::format("{}", *validation_.best));
    if (validation_due_) metadata.emplace(kValidationDue, "1");
    if (lr_decays_ > 0) metadata.emplace(kDecays, std::to_string(lr_decays_));
    trainer_->save(file(name), std::move(metadata));
    ranks_.meet();
  }

  void take_best(const SafetensorsFile& checkpoint) {
    validation_.best.reset();
    if (checkpoint.metadata.contains("best")) validation_.best = checkpoint.number<double>("best");
    validation_.best_epoch = checkpoint.number<int>("best_epoch");
  }

  void load_checkpoint() {
    const std::string path = file(kCheckpointFile);
    // Killed before the first checkpoint: start anew.
    if (!ranks_.first_says(std::filesystem::exists(path))) {
      require_same_configuration(config_.run_dir, decisive(load_config(file("config.toml"), {})), config_);
      if (ranks_.writes()) folder_->drop_events_after(0);
      return;
    }
    const SafetensorsFile checkpoint = trainer_->read(path);
    if (checkpoint.meta("format") != kFormat) {
      throw Error(fmt::format("{}: not a checkpoint of this program; choose another run_dir", path));
    }
    const StoredValue stored = [&](const std::string& name) { return stored_value(checkpoint, name); };
    // A program that came to other figures may have written its configuration in another way too.
    if (stored("numbers_version") == std::to_string(kNumbersVersion)) {
      require_same_configuration(path, parse_config(checkpoint.meta("config"), path), config_);
    }
    const std::string change = changed_input(config_, inputs_, stored);
    require(change.empty(),
            fmt::format("{}: cannot resume: {} are not those of the checkpoint; restore them, or "
                        "choose another run_dir",
                        path, change));
    trainer_->resume(checkpoint);
    if (checkpoint.metadata.contains(kDecays)) decay_rate(checkpoint.number<int>(kDecays));
    validation_due_ = checkpoint.metadata.contains(kValidationDue);
    take_best(checkpoint);
    validation_.without_gain = checkpoint.number<int>("without_gain");
    done_ = config_.train.patience > 0 && validation_.without_gain >= config_.train.patience;
    last_ = stored_report(checkpoint);
    if (ranks_.writes()) folder_->drop_events_after(trainer_->epoch());
  }

  const Config& config_;
  Stopwatch watch_;
  GuidanceReads reads_;
  const Protocol& protocol_;
  Monitor monitor_;
  RunRanks ranks_;
  Context context_;
  std::string transport_;
  World world_;
  std::optional<RunFolder> folder_;
  std::unique_ptr<LlmScores> scores_;
  nlohmann::json guidance_cost_;
  RunInputs inputs_;
  std::unique_ptr<Trainer> trainer_;
  EpochReport last_;
  Validation validation_;
  bool validation_due_ = false;  // of the epoch that has just been trained
  bool done_ = false;
  int lr_decays_ = 0;
  std::string loss_text_;
  Stopwatch since_checkpoint_;
  double checkpoint_seconds_ = 0;                   // that the last one took
  double prepare_seconds_ = 0, train_seconds_ = 0;  // of this process, which may go on with a run
  std::int64_t first_row_ = 0;                      // where it began
  UnlinkAfterError unlink_{context_};               // the first member to go
};

}  // namespace

nlohmann::json train(const Config& config, bool resume, Communicator& ranks, std::optional<World> world) {
  check_training(config);  // before data are read
  require(!config.run_dir.empty(),
          "run_dir is not set: say where the run goes, for example run_dir=runs/first");
  restart_peaks();
  return Run(config, resume, ranks, std::move(world))();
}

}  // namespace sllmr
