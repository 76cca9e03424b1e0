#include "host/train/mf_trainer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "host/llm/pair_index.h"
#include "kernels/fused_mf_step.h"
#include "kernels/gate_step.h"

namespace sllmr {

namespace {

OptimizerKind optimizer_kind(TrainConfig::Optimizer optimizer) {
  switch (optimizer) {
    case TrainConfig::Optimizer::sgd:
      return OptimizerKind::sgd;
    case TrainConfig::Optimizer::adagrad:
      return OptimizerKind::adagrad;
    case TrainConfig::Optimizer::lazy_adam:
      return OptimizerKind::lazy_adam;
    case TrainConfig::Optimizer::adam:
      break;
  }
  return OptimizerKind::adam;
}

/// log(1 + n), 1 at the largest.
std::vector<float> scaled_logs(std::span<const std::int32_t> counts) {
  const std::int32_t most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  std::vector<float> logs(counts.size());
  for (std::size_t k = 0; k < counts.size(); ++k) {
    logs[k] = most == 0 ? 0.0F : static_cast<float>(std::log1p(counts[k]) / std::log1p(most));
  }
  return logs;
}

/// Entropy of the scores as a distribution over the user's candidates, 1 when all score the same.
float score_entropy(std::span<const float> scores) {
  double sum = 0, entropy = 0;
  for (const float score : scores) sum += score;
  if (scores.size() < 2 || sum <= 0) return 0;
  for (const float score : scores) {
    const double share = score / sum;
    if (share > 0) entropy -= share * std::log(share);
  }
  return static_cast<float>(entropy / std::log(static_cast<double>(scores.size())));
}

/// Groups that may add to the accumulators at once without meeting: threads, or enough for a GPU's blocks.
int slots_for(const Context& context) {
  return context.device() == Device::cpu ? context.threads() : 256;
}

void check_mode(const Config& config) {
  if (config.train.eval_every == 0) {
    require_not_set(config, "train.patience", "nothing is validated; set train.eval_every");
  }
  if (config.llm.pairs == LlmConfig::Pairs::sampled) {
    require_not_set(config, "llm.largest_pairs", "llm.pairs=sampled draws from all pairs");
  }
  if (config.llm.noise == 0) require_not_set(config, "llm.noise_slice", "llm.noise is 0");
  if (config.train.mode == TrainConfig::Mode::fused) {
    require_not_set(config, "train.batch_size", "the fused mode has no mini-batches; see train.chunk_rows");
    require_not_set(config, "llm.max_pairs_per_batch",
                    "the fused mode has no mini-batches; see llm.pair_rate");
    if (config.train.optimizer == TrainConfig::Optimizer::adam) {
      throw Error(
          "train.optimizer=adam updates every row each step and needs train.mode=exact; or use lazy_adam");
    }
  } else {
    require_not_set(config, "train.chunk_rows", "the exact mode updates the gate with each mini-batch");
  }
}

}  // namespace

/// The score table, the largest pairs and the signals on the device.
struct MfTrainer::Scores {
  Scores(const Context& context, const Config& config, const Split& split, const ScoreTable& table,
         std::int64_t max_batch)
      : offsets(context, std::span<const std::int64_t>(table.offsets)),
        items(context, std::span<const Id>(table.items)),
        values(context, std::span<const float>(table.scores)),
        probe(context, std::span<const std::int32_t>(table.probe)),
        selector(context, max_batch) {
    view = {offsets.data(), items.data(), values.data(), probe.data(), nullptr, nullptr, nullptr};
    policy.choice = config.llm.pairs == LlmConfig::Pairs::largest ? PairChoice::largest : PairChoice::sampled;
    policy.pair_rate = Share::of(config.llm.pair_rate);
    policy.probe_rate = Share::of(config.gate.probe_rate);
    if (policy.choice == PairChoice::largest) {
      const PairIndex index = largest_pairs(table, config.llm.largest_pairs);
      pair_offsets = Buffer<std::int64_t>(context, std::span<const std::int64_t>(index.offsets));
      pair_first = Buffer<std::uint16_t>(context, std::span<const std::uint16_t>(index.first));
      pair_second = Buffer<std::uint16_t>(context, std::span<const std::uint16_t>(index.second));
      view.pair_offsets = pair_offsets.data();
      view.pair_first = pair_first.data();
      view.pair_second = pair_second.data();
    }
    const Id n_users = split.data->users.rows(), n_items = split.data->items.rows();
    const std::vector<float> log_history = scaled_logs(split.train_size);
    const std::vector<float> log_popularity = scaled_logs(split.popularity);
    std::vector<UserSignals> users(static_cast<std::size_t>(n_users));
    for (Id user = 0; user < n_users; ++user) {
      const auto u = static_cast<std::size_t>(user);
      users[u] = {static_cast<float>(split.cold[u]), log_history[u], score_entropy(table.scores_of(user)), 0};
    }
    std::vector<ItemSignals> item_rows(static_cast<std::size_t>(n_items));
    for (std::size_t i = 0; i < item_rows.size(); ++i) {
      item_rows[i] = {static_cast<float>(split.tail[i]), log_popularity[i]};
    }
    user_signals = Buffer<UserSignals>(context, std::span<const UserSignals>(users));
    item_signals = Buffer<ItemSignals>(context, std::span<const ItemSignals>(item_rows));
  }

  Buffer<std::int64_t> offsets, pair_offsets;
  Buffer<Id> items;
  Buffer<float> values;
  Buffer<std::int32_t> probe;
  Buffer<std::uint16_t> pair_first, pair_second;
  Buffer<UserSignals> user_signals;
  Buffer<ItemSignals> item_signals;
  LargestPairs selector;
  ScoreView view;
  PairPolicy policy;
};

MfTrainer::MfTrainer(Context& context, const Config& config, const Method& method, const Split& split,
                     const ScoreTable* table)
    : context_(context),
      config_(config),
      method_(method),
      optimizer_(optimizer_kind(config.train.optimizer)) {
  check_mode(config);
  require(!method.uses_llm || table != nullptr, "MfTrainer: method=" + method.name + " needs LLM scores");
  const Dataset& data = *split.data;
  const bool exact = config.train.mode == TrainConfig::Mode::exact;

  std::vector<Id> users, items, sorted_items;
  std::vector<std::int64_t> offsets{0, 0};
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto train = split.train_items(user);
    for (const Id item : train) {
      users.push_back(user);
      items.push_back(item);
    }
    std::vector<Id> own(train.begin(), train.end());
    std::sort(own.begin(), own.end());
    own.erase(std::unique(own.begin(), own.end()), own.end());
    if (static_cast<Id>(own.size()) == data.items.count()) {
      throw Error("user '" + std::string(data.users.token(user)) +
                  "' has taken every item in training: there is no negative to sample; remove the user");
    }
    sorted_items.insert(sorted_items.end(), own.begin(), own.end());
    offsets.push_back(static_cast<std::int64_t>(sorted_items.size()));
  }
  require(!users.empty(), "there is no training interaction: every user has fewer than 3");
  users_ = Buffer<Id>(context, std::span<const Id>(users));
  items_ = Buffer<Id>(context, std::span<const Id>(items));
  sorted_items_ = Buffer<Id>(context, std::span<const Id>(sorted_items));
  offsets_ = Buffer<std::int64_t>(context, std::span<const std::int64_t>(offsets));
  interactions_ = {users_.data(),
                   items_.data(),
                   offsets_.data(),
                   sorted_items_.data(),
                   static_cast<std::int64_t>(users.size()),
                   data.items.count()};

  // The exact mode samples whole batches; a stretch of many saves launches.
  constexpr std::int64_t kExactStretch = 16384;
  const std::int64_t batch = config.train.batch_size;
  stretch_ = exact ? (kExactStretch + batch - 1) / batch * batch : config.train.chunk_rows;
  triples_ = Buffer<Triple>(context, static_cast<std::size_t>(stretch_));

  model_ =
      std::make_unique<Mf>(context, data.users.rows(), data.items.rows(),
                           MfOptions{config.model.width, config.model.init_std, config.seed, optimizer_});
  const int slots = exact ? config.train.batch_size : slots_for(context);
  if (exact) {
    batch_ = std::make_unique<MfBatch>(context, config.model.width, data.users.rows(), data.items.rows(),
                                       batch, optimizer_);
  }
  slots_ = Buffer<float>(context, static_cast<std::size_t>(slots) * GateColumns::stride);
  // Until the first stretch has told, all pairs count as open: `normalised` then starts like `hinge`.
  constexpr float kRunning[] = {1.0F, 0.0F};
  running_ = Buffer<float>(context, std::span<const float>(kRunning));
  totals_ = Buffer<double>(context, GateColumns::used);
  gate_scratch_ = Buffer<float>(context, GateColumns::used);

  args_.users = model_->users();
  args_.items = model_->items();
  args_.optimizer = {static_cast<float>(config.train.lr), static_cast<float>(config.train.l2)};
  args_.gate.slots = slots_.data();
  args_.gate.n_slots = slots;
  if (!method.uses_llm) return;

  scores_ = std::make_unique<Scores>(context, config, split, *table, batch);
  pairs_ = Buffer<RowPairs>(context,
                            scores_->policy.pair_rate.count_before(static_cast<std::uint64_t>(stretch_)) + 1);
  const std::vector<float> theta = initial_gate_params(method.rule->id, config.seed);
  theta_ = Buffer<float>(context, std::span<const float>(theta));
  theta_first_ = Buffer<float>(context, theta.size());
  theta_second_ = Buffer<float>(context, theta.size());
  args_.pair_rate = scores_->policy.pair_rate;
  GateArgs& gate = args_.gate;
  gate.rule = method.rule->id;
  gate.objective = method.objective->id;
  // A rule without parameters has nothing to learn from probes.
  gate.uses_probes = method.objective->uses_probes && method.rule->n_params > 0;
  if (!gate.uses_probes) scores_->policy.probe_rate = Share{};
  gate.uses_draw = method.rule->uses_draw;
  gate.uses_cosine = method.objective->uses_cosine;
  gate.uncertainty = config.gate.uncertainty == GateConfig::Uncertainty::entropy ? Uncertainty::entropy
                                                                                 : Uncertainty::confidence;
  gate.lambda = static_cast<float>(config.llm.lambda);
  gate.margin = static_cast<float>(config.llm.margin);
  gate.price = static_cast<float>(config.gate.price);
  gate.budget_weight = static_cast<float>(config.gate.budget_weight);
  gate.budget_target = static_cast<float>(config.gate.budget_target);
  gate.seed = config.seed;
  gate.theta = theta_.data();
  gate.running = running_.data();
  gate.users = scores_->user_signals.data();
  gate.items = scores_->item_signals.data();
}

MfTrainer::~MfTrainer() = default;

std::optional<EpochReport> MfTrainer::train_epoch(const std::function<bool(std::int64_t)>& stop) {
  if (row_ == 0) totals_.zero(context_);
  while (row_ < interactions_.n) {
    const std::int64_t count = std::min(stretch_, interactions_.n - row_);
    take_stretch(count);
    row_ += count;
    if (row_ < interactions_.n && stop(row_)) return std::nullopt;
  }
  ++epoch_;
  row_ = 0;
  return report();
}

void MfTrainer::take_stretch(std::int64_t count) {
  const auto epoch = static_cast<std::uint32_t>(epoch_);
  sample_triples(context_, interactions_, config_.seed, epoch, row_, count, triples_.data());
  if (scores_ != nullptr) {
    sample_pairs(context_, scores_->view, scores_->policy, config_.seed, epoch, row_, count, triples_.data(),
                 pairs_.data());
  }
  if (batch_ == nullptr) {
    args_.triples = triples_.data();
    args_.rows = count;
    args_.first_row = row_;
    args_.pairs = scores_ != nullptr ? pairs_.data() : nullptr;
    fused_mf_step(context_, config_.model.width, optimizer_, args_);
    finish_gate_stretch(args_.gate.n_slots);
    return;
  }
  const auto ordinal = [&](std::int64_t row) {
    return static_cast<std::int64_t>(args_.pair_rate.count_before(static_cast<std::uint64_t>(row)));
  };
  for (std::int64_t first = 0; first < count; first += config_.train.batch_size) {
    args_.triples = triples_.data() + first;
    args_.rows = std::min<std::int64_t>(config_.train.batch_size, count - first);
    args_.first_row = row_ + first;
    if (scores_ != nullptr) {
      RowPairs* pairs = pairs_.data() + (ordinal(args_.first_row) - ordinal(row_));
      args_.pairs = pairs;
      if (config_.llm.max_pairs_per_batch > 0) {
        scores_->selector.keep(context_, pairs,
                               ordinal(args_.first_row + args_.rows) - ordinal(args_.first_row),
                               config_.llm.max_pairs_per_batch);
      }
    }
    batch_->step(context_, ++model_steps_, args_);
    finish_gate_stretch(static_cast<int>(args_.rows));
  }
}

void MfTrainer::finish_gate_stretch(int slots) {
  GateStepArgs step;
  step.slots = slots_.data();
  step.n_slots = slots;
  step.n_params = static_cast<int>(theta_.size());
  step.learning_rate = static_cast<float>(config_.gate.lr);
  step.step = ++gate_steps_;
  step.theta = theta_.data();
  step.first = theta_first_.data();
  step.second = theta_second_.data();
  step.running = running_.data();
  step.totals = totals_.data();
  step.scratch = gate_scratch_.data();
  gate_step(context_, step);
}

EpochReport MfTrainer::report() const {
  const std::vector<double> totals = totals_.to_host(context_);
  const auto mean = [](double sum, double count) { return count > 0 ? sum / count : 0.0; };
  EpochReport out;
  out.rows = interactions_.n;
  out.loss = mean(totals[GateColumns::loss], totals[GateColumns::rows]);
  out.pairs = totals[GateColumns::pairs];
  out.probes = totals[GateColumns::probes];
  out.active_share = mean(totals[GateColumns::active], out.pairs);
  out.mean_agreement = mean(totals[GateColumns::agreement], out.probes);
  double count = 0, alpha = 0;
  for (std::size_t b = 0; b < out.buckets.size(); ++b) {
    const double* sums = totals.data() + GateColumns::bucket + GateColumns::bucket_columns * b;
    EpochReport::Bucket& bucket = out.buckets[b];
    bucket.count = sums[0];
    bucket.mean = mean(sums[1], sums[0]);
    bucket.deviation = std::sqrt(std::max(0.0, mean(sums[2], sums[0]) - bucket.mean * bucket.mean));
    count += sums[0];
    alpha += sums[1];
  }
  out.mean_alpha = mean(alpha, count);
  require(std::isfinite(out.loss) && std::isfinite(out.mean_alpha),
          "the training loss is not finite: training diverged; lower train.lr (or raise train.l2) and start "
          "again");
  return out;
}

namespace {
constexpr const char* kBucketNames[] = {"warm_head", "warm_tail", "cold_head", "cold_tail"};
}

nlohmann::json to_json(const EpochReport& report) {
  nlohmann::json buckets;
  for (std::size_t b = 0; b < report.buckets.size(); ++b) {
    const EpochReport::Bucket& bucket = report.buckets[b];
    buckets[kBucketNames[b]] = {
        {"count", bucket.count}, {"mean_alpha", bucket.mean}, {"deviation", bucket.deviation}};
  }
  return {{"rows", report.rows},
          {"loss", report.loss},
          {"mean_alpha", report.mean_alpha},
          {"pairs", report.pairs},
          {"probes", report.probes},
          {"active_share", report.active_share},
          {"agreement", report.mean_agreement},
          {"buckets", buckets}};
}

EpochReport report_from_json(const nlohmann::json& json) {
  EpochReport report;
  report.rows = json.at("rows");
  report.loss = json.at("loss");
  report.mean_alpha = json.at("mean_alpha");
  report.pairs = json.at("pairs");
  report.probes = json.at("probes");
  report.active_share = json.at("active_share");
  report.mean_agreement = json.at("agreement");
  for (std::size_t b = 0; b < report.buckets.size(); ++b) {
    const nlohmann::json& bucket = json.at("buckets").at(kBucketNames[b]);
    report.buckets[b] = {bucket.at("count"), bucket.at("mean_alpha"), bucket.at("deviation")};
  }
  return report;
}

std::vector<float> MfTrainer::gate_parameters() const {
  return theta_.to_host(context_);
}

template <class Function>
void MfTrainer::for_each_state(Function&& function) {
  for (const NamedBuffer& named : model_->named_buffers()) {
    std::visit([&](auto* buffer) { function(named.name, named.shape, *buffer); }, named.buffer);
  }
  const auto vector = [&](const char* name, auto& buffer) {
    if (buffer.size() != 0) function(name, {static_cast<std::int64_t>(buffer.size())}, buffer);
  };
  vector("gate.theta", theta_);
  vector("gate.first", theta_first_);
  vector("gate.second", theta_second_);
  vector("gate.running", running_);
  vector("gate.totals", totals_);
}

void MfTrainer::save(const std::string& path, std::map<std::string, std::string> metadata) {
  std::vector<std::vector<std::byte>> copies;  // of device memory, alive until they are written
  std::vector<TensorView> tensors;
  for_each_state([&](const std::string& name, std::vector<std::int64_t> shape, auto& buffer) {
    const auto host = buffer.to_host(context_);
    const auto bytes = std::as_bytes(std::span(host));
    copies.emplace_back(bytes.begin(), bytes.end());
    using Value = typename std::decay_t<decltype(host)>::value_type;
    tensors.push_back({name, dtype_of<Value>(), std::move(shape), copies.back()});
  });
  metadata["epoch"] = std::to_string(epoch_);
  metadata["row"] = std::to_string(row_);
  metadata["gate_steps"] = std::to_string(gate_steps_);
  metadata["model_steps"] = std::to_string(model_steps_);
  write_safetensors(path, tensors, metadata);
}

void MfTrainer::load(const SafetensorsFile& checkpoint) {
  for_each_state([&](const std::string& name, const std::vector<std::int64_t>&, auto& buffer) {
    auto host = buffer.to_host(context_);
    checkpoint.copy_to(name, std::span(host));
    using Value = typename std::decay_t<decltype(host)>::value_type;
    buffer.assign(context_, std::span<const Value>(host));
  });
  const auto number = [&](const char* key) { return std::stoll(checkpoint.meta(key)); };
  epoch_ = static_cast<int>(number("epoch"));
  row_ = number("row");
  gate_steps_ = static_cast<std::int32_t>(number("gate_steps"));
  model_steps_ = static_cast<std::int32_t>(number("model_steps"));
}

}  // namespace sllmr
