#include "host/train/selective.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "host/llm/pair_index.h"
#include "kernels/gate_step.h"

namespace sllmr {

namespace {

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

}  // namespace

int concurrent_slots(const Context& context) {
  return context.device() == Device::cpu ? context.threads() : 256;
}

/// The score table, the largest pairs and the signals on the device.
struct Selective::Scores {
  Scores(const Context& context, const Config& config, const Split& split, const ScoreTable& table,
         std::int64_t max_batch)
      : offsets(context, std::span<const std::int64_t>(table.offsets)),
        probe(context, std::span<const std::int32_t>(table.probe)),
        selector(context, max_batch) {
    std::vector<ScoredItem> scored(table.items.size());
    for (std::size_t k = 0; k < scored.size(); ++k) scored[k] = {table.items[k], table.scores[k]};
    entries = Buffer<ScoredItem>(context, std::span<const ScoredItem>(scored));
    view = {offsets.data(), entries.data(), probe.data(), nullptr, nullptr, nullptr};
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
    users.resize(static_cast<std::size_t>(n_users));
    for (Id user = 0; user < n_users; ++user) {
      const auto u = static_cast<std::size_t>(user);
      users[u] = {static_cast<float>(split.cold[u]), log_history[u], score_entropy(table.scores_of(user)), 0};
    }
    item_rows.resize(static_cast<std::size_t>(n_items));
    for (std::size_t i = 0; i < item_rows.size(); ++i) {
      item_rows[i] = {static_cast<float>(split.tail[i]), log_popularity[i]};
    }
    user_signals = Buffer<UserSignals>(context, std::span<const UserSignals>(users));
    item_signals = Buffer<ItemSignals>(context, std::span<const ItemSignals>(item_rows));
  }

  Buffer<std::int64_t> offsets, pair_offsets;
  Buffer<ScoredItem> entries;
  Buffer<std::int32_t> probe;
  Buffer<std::uint16_t> pair_first, pair_second;
  std::vector<UserSignals> users;  // on the host
  std::vector<ItemSignals> item_rows;
  Buffer<UserSignals> user_signals;
  Buffer<ItemSignals> item_signals;
  LargestPairs selector;
  ScoreView view;
  PairPolicy policy;
};

Selective::Selective(Context& context, const Config& config, const Method& method, const Split& split,
                     const ScoreTable* table, std::int64_t max_batch, std::int64_t stretch, int slots)
    : context_(context), config_(config) {
  require(!method.uses_llm || table != nullptr, "method=" + method.name + " needs LLM scores");
  slots_ = Buffer<float>(context, size_product(slots, GateColumns::stride));
  // Until the first stretch has told, all pairs count as open: `normalised` then starts like `hinge`.
  host_running_ = {1.0F, 0.0F};
  running_ = Buffer<float>(context, std::span<const float>(host_running_));
  totals_ = Buffer<double>(context, GateColumns::used);
  scratch_ = Buffer<float>(context, GateColumns::used);
  gate_.slots = slots_.data();
  gate_.n_slots = slots;
  if (!method.uses_llm) return;

  scores_ = std::make_unique<Scores>(context, config, split, *table, max_batch);
  pair_rate_ = scores_->policy.pair_rate;
  pairs_ = Buffer<RowPairs>(context, pair_rate_.count_before(static_cast<std::uint64_t>(stretch)) + 1);
  host_theta_ = initial_gate_params(method.rule->id, config.seed);
  theta_ = Buffer<float>(context, std::span<const float>(host_theta_));
  theta_first_ = Buffer<float>(context, host_theta_.size());
  theta_second_ = Buffer<float>(context, host_theta_.size());
  gate_.rule = method.rule->id;
  gate_.objective = method.objective->id;
  // A rule without parameters has nothing to learn from probes.
  gate_.uses_probes = method.objective->uses_probes && method.rule->n_params > 0;
  if (!gate_.uses_probes) scores_->policy.probe_rate = Share{};
  gate_.uses_draw = method.rule->uses_draw;
  gate_.uses_cosine = method.objective->uses_cosine;
  gate_.uncertainty = config.gate.uncertainty == GateConfig::Uncertainty::entropy ? Uncertainty::entropy
                                                                                  : Uncertainty::confidence;
  gate_.lambda = static_cast<float>(config.llm.lambda);
  gate_.margin = static_cast<float>(config.llm.margin);
  gate_.price = static_cast<float>(config.gate.price);
  gate_.budget_weight = static_cast<float>(config.gate.budget_weight);
  gate_.budget_target = static_cast<float>(config.gate.budget_target);
  gate_.seed = config.seed;
  gate_.theta = theta_.data();
  gate_.running = running_.data();
  gate_.users = scores_->user_signals.data();
  gate_.items = scores_->item_signals.data();
}

Selective::~Selective() = default;

GateArgs Selective::host_gate() const {
  GateArgs gate = gate_;
  gate.theta = host_theta_.data();
  gate.running = host_running_.data();
  gate.users = scores_->users.data();
  gate.items = scores_->item_rows.data();
  gate.slots = nullptr;
  gate.n_slots = 0;
  return gate;
}

void Selective::sample(std::uint32_t epoch, std::int64_t first_row, std::int64_t count,
                       const Triple* triples) {
  sample_pairs(context_, scores_->view, scores_->policy, config_.seed, epoch, first_row, count, triples,
               pairs_.data());
}

void Selective::keep_largest(RowPairs* pairs, std::int64_t count) {
  scores_->selector.keep(context_, pairs, count, config_.llm.max_pairs_per_batch);
}

void Selective::count_closed(const GateSignals& signals, float alpha) {
  closed_.resize(GateColumns::used);
  double* bucket = closed_.data() + GateColumns::bucket +
                   GateColumns::bucket_columns * (2 * (signals.cold > 0) + (signals.tail > 0));
  const double a = static_cast<double>(alpha);
  bucket[0] += 1;
  bucket[1] += a;
  bucket[2] += a * a;
  closed_[GateColumns::pairs] += 0.5;
  closed_[GateColumns::pair_alpha] += 0.5 * a;
}

void Selective::finish_stretch(int slots) {
  GateStepArgs step;
  step.slots = slots_.data();
  step.n_slots = slots;
  step.n_params = static_cast<int>(theta_.size());
  step.learning_rate = static_cast<float>(config_.gate.lr);
  step.step = ++steps_;
  step.theta = theta_.data();
  step.first = theta_first_.data();
  step.second = theta_second_.data();
  step.running = running_.data();
  step.totals = totals_.data();
  step.scratch = scratch_.data();
  gate_step(context_, step);
}

void Selective::add_closed() {
  if (closed_.empty()) return;
  std::vector<double> totals = totals_.to_host(context_);
  for (std::size_t k = 0; k < totals.size(); ++k) totals[k] += closed_[k];
  totals_.assign(context_, std::span<const double>(totals));
  closed_.clear();
}

void Selective::start_epoch() {
  totals_.zero(context_);
}

EpochReport Selective::report(std::int64_t rows) {
  add_closed();
  const std::vector<double> totals = totals_.to_host(context_);
  const auto mean = [](double sum, double count) { return count > 0 ? sum / count : 0.0; };
  EpochReport out;
  out.rows = rows;
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

std::vector<float> Selective::parameters() const {
  return theta_.to_host(context_);
}

std::vector<NamedBuffer> Selective::named_buffers() {
  std::vector<NamedBuffer> named;
  const auto vector = [&](const char* name, auto& buffer) {
    if (buffer.size() != 0) named.push_back({name, {static_cast<std::int64_t>(buffer.size())}, &buffer});
  };
  vector("gate.theta", theta_);
  vector("gate.first", theta_first_);
  vector("gate.second", theta_second_);
  vector("gate.running", running_);
  vector("gate.totals", totals_);
  return named;
}

NamedBuffer Selective::sums_of_stretch() {
  return {"gate.slots", {static_cast<std::int64_t>(slots_.size())}, &slots_};
}

void Selective::fetch_parameters() {
  host_theta_ = theta_.to_host(context_);
  host_running_ = running_.to_host(context_);
}

}  // namespace sllmr
