#include "host/guidance/gated.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "host/guidance/signals.h"
#include "kernels/dense/dropout_mask.h"
#include "models/mc_dropout.h"
#include "models/registry.h"
#include "models/user_cosines.h"

namespace sllmr {

namespace {

constexpr const char* kBuckets[] = {"warm_head", "warm_tail", "cold_head", "cold_tail"};

ProbeDraws probe_draws(const GateArgs& gate, const GateSpec& spec) {
  return !gate.uses_probes ? ProbeDraws::none : spec.matched_probes ? ProbeDraws::matched : ProbeDraws::any;
}

}  // namespace

Gated::Gated(const GuidanceSetup& setup, const GateSpec& spec)
    : Guidance(setup, spec, setup.backbone ? setup.batch : 0),
      spec_(spec),
      skips_closed_(setup.backbone && setup.config.gate.skip_below > 0 &&
                    (spec.objective->skips_closed || spec.rule->n_params == 0)),
      users_(user_signals(setup.split, *setup.table)),
      items_(item_signals(setup.split)),
      device_users_(setup.context, std::span<const UserSignals>(users_)),
      device_items_(setup.context, std::span<const ItemSignals>(items_)),
      draws_(setup.context, setup.config, setup.split, *setup.table, probe_draws(gate(), spec), setup.batch,
             setup.chunk) {
  state_.gate().users = device_users_.data();
  state_.gate().items = device_items_.data();
  if (!setup.backbone) return;
  if (spec.objective->uses_cosine) require_user_rows(*setup.backbone);
  triples_ = Buffer<Triple>(setup.context, static_cast<std::size_t>(setup.chunk));
  heads_ = Buffer<HeadPair>(setup.context, static_cast<std::size_t>(setup.batch));
  fetch_gate();
}

void Gated::start_chunk(const Chunk& chunk) {
  std::vector<Triple> triples(triples_.size());
  for (std::size_t k = 0; k < chunk.users.size(); ++k) triples[k].user = chunk.users[k];
  triples_.assign(setup_.context, std::span<const Triple>(triples));
  draws_.sample(chunk.epoch, chunk.first, chunk.count, triples_.data());
  RowPairs* pairs = draws_.pairs();
  for (std::int64_t batch = chunk.first; batch < chunk.first + chunk.count; batch += chunk.batch) {
    const std::int64_t rows = std::min(chunk.batch, chunk.first + chunk.count - batch);
    const std::int64_t count = draws_.rate().count(batch, rows);
    draws_.limit(pairs, count);
    pairs += count;
  }
  // All at once: the device would have to be waited for at each batch.
  chunk_pairs_.resize(static_cast<std::size_t>(draws_.rate().count(chunk.first, chunk.count)));
  copy_to_host(setup_.context, chunk_pairs_.data(), draws_.pairs(), chunk_pairs_.size() * sizeof(RowPairs));
  next_pair_ = chunk_pairs_.data();
  probe_rows_.clear();
  probe_heads_.clear();
}

void Gated::plan(BatchPlan& plan) {
  std::vector<HeadPair>& heads = static_cast<Rows&>(*plan.own).heads;
  heads.clear();
  static_cast<Rows&>(*plan.own).left_out = 0;
  for (std::int64_t k = 0; k < plan.count; ++k) {
    if (draws_.rate().selects(static_cast<std::uint64_t>(plan.first + k))) {
      add_pair(*next_pair_++, static_cast<std::int32_t>(k), plan);
    }
  }
  for (HeadPair& head : heads) {
    const FeatureRow twin = plan.rows[static_cast<std::size_t>(head.row_a)];
    head.row_b = static_cast<std::int32_t>(plan.rows.size());
    plan.rows.push_back({twin.user, head.pair.b, twin.position});
  }
  plan.twins = heads.size();
}

void Gated::add_pair(const RowPairs& pairs, std::int32_t row, BatchPlan& plan) {
  const Id user = plan.rows[static_cast<std::size_t>(row)].user;
  // The probe is the last training item: neither the LLM nor the model may see it in the history. (That of a
  // table older than the data lies in the history; only the gate's uncertainty can tell.)
  const std::int32_t position = std::max(0, setup_.split.train_size[static_cast<std::size_t>(user)] - 1);
  const LlmPair &guide = pairs.guide, &probe = pairs.probe;
  auto& own = static_cast<Rows&>(*plan.own);
  if (guide.a != 0 && open(guide, user)) {
    const auto a = static_cast<std::int32_t>(plan.rows.size());
    plan.rows.push_back({user, guide.a, position});
    own.heads.push_back({guide, user, a, 0, 0, row});
  } else if (guide.a != 0) {
    ++own.left_out;
  }
  if (probe.a != 0) {
    probe_rows_.push_back({user, probe.a, position});
    probe_rows_.push_back({user, probe.b, position});
    probe_heads_.push_back({probe, user, 0, 0, 1});
  }
}

bool Gated::open(const LlmPair& pair, Id user) {
  if (!skips_closed_) return true;
  // Uncertainty and logit are known only after the forward pass; a rule need not be monotonic in them, but is
  // smooth enough for these.
  constexpr float kShares[] = {0.0F, 0.25F, 0.5F, 0.75F, 1.0F}, kLogits[] = {0.0F, -3.0F, 3.0F};
  const std::size_t n_logits = spec_.rule->uses_logit ? std::size(kLogits) : 1;
  struct Levels {
    GateSignals z;
    float most = 0, sum = 0;
  };
  Levels a{gate_signals(host_gate_, user, pair.a, pair.gap())},
      b{gate_signals(host_gate_, user, pair.b, pair.gap())};
  for (Levels* side : {&a, &b}) {
    for (const float uncertainty : kShares) {
      for (std::size_t k = 0; k < n_logits; ++k) {
        side->z.uncertainty = uncertainty;
        side->z.logit = kLogits[k];
        const float alpha = alpha_of(host_gate_, side->z);
        side->most = std::max(side->most, alpha);
        side->sum += alpha;
      }
    }
  }
  if (!(weight_of(host_gate_, a.most, b.most) < static_cast<float>(setup_.config.gate.skip_below))) {
    return true;
  }
  const float mean = 1.0F / static_cast<float>(std::size(kShares) * n_logits);
  const float weight = weight_of(host_gate_, mean * a.sum, mean * b.sum);
  count_closed(a.z, mean * a.sum, weight);
  count_closed(b.z, mean * b.sum, weight);
  return false;
}

void Gated::count_closed(const GateSignals& signals, float alpha, float weight) {
  const int bucket = GateColumns::bucket_of(signals.cold > 0, signals.tail > 0);
  const double a = static_cast<double>(alpha);
  count(bucket, 1);
  count(bucket + 1, a);
  count(bucket + 2, a * a);
  count(bucket + 3, static_cast<double>(weight));
  count(GateColumns::pairs, 0.5);
  count(GateColumns::pair_alpha, 0.5 * a);
  count(GateColumns::pair_weight, 0.5 * static_cast<double>(weight));
}

void Gated::upload(const BatchPlan& plan) {
  const std::vector<HeadPair>& heads = rows_of(plan).heads;
  copy_to_device(setup_.context, heads_.data(), heads.data(), heads.size() * sizeof(HeadPair));
}

Tensor<float> Gated::uncertainties(const FeatureBatch& batch, std::uint32_t step, std::uint32_t group) const {
  const GateConfig& config = setup_.config.gate;
  if (!info_of(config.uncertainty).needs_passes || !spec_.rule->uses_uncertainty) return {};
  return mc_dropout_variance(setup_.context, *setup_.backbone, batch,
                             {setup_.config.seed, step, group, config.mc_passes});
}

void Gated::loss(const StepView& step) {
  LossHead head = step.head;
  head.pairs = heads_.data();
  head.n_pairs = std::ssize(rows_of(step.plan).heads);
  Tensor<float> uncertain;
  if (head.n_pairs > 0) {
    uncertain = uncertainties(step.batch, step.pass.step, 0);
    head.uncertainties = uncertain.data();
  }
  Tensor<float> cosines;
  if (head.gate.uses_cosine && head.n_pairs > 0) {
    cosines = user_cosines(setup_.context, step.backbone, step.batch, step.saved, head);
    head.cosines = cosines.data();
  }
  run(setup_.context, head);
}

void Gated::take_probes(const BatchMaker& make_batch) {
  LossHead head;
  head.gate = gate();
  head.pairs = heads_.data();
  for (std::size_t first = 0; first < probe_heads_.size(); first += heads_.size()) {
    const std::size_t n = std::min(heads_.size(), probe_heads_.size() - first);
    for (std::size_t k = 0; k < n; ++k) {
      HeadPair& pair = probe_heads_[first + k];
      pair.row_a = static_cast<std::int32_t>(2 * k);
      pair.row_b = pair.row_a + 1;
    }
    copy_to_device(setup_.context, heads_.data(), probe_heads_.data() + first, n * sizeof(HeadPair));
    const FeatureBatch& batch =
        make_batch(std::span<const FeatureRow>(probe_rows_).subspan(2 * first, 2 * n));
    const Tensor<float> logits = setup_.backbone->forward(setup_.context, batch, Pass{}, nullptr);
    // Group 0 of a step is a training batch.
    const Tensor<float> uncertain = uncertainties(batch, static_cast<std::uint32_t>(state_.steps()),
                                                  static_cast<std::uint32_t>(1 + first / heads_.size()));
    const Tensor<float> d_logits(setup_.context, logits.rows(), 1);  // nobody reads it
    head.logits = logits.data();
    head.d_logits = d_logits.data();
    head.uncertainties = uncertain.data();
    head.n_pairs = static_cast<std::int64_t>(n);
    run(setup_.context, head);
  }
}

void Gated::end_chunk(int slots, const BatchMaker& make_batch) {
  if (make_batch) take_probes(make_batch);
  state_.step(slots);
  fetch_gate();
}

void Gated::fetch_gate() {
  if (!skips_closed_) return;  // this waits for the device
  host_theta_ = state_.parameters();
  host_running_ = state_.running();
  host_gate_ = gate();
  host_gate_.theta = host_theta_.data();
  host_gate_.running = host_running_.data();
  host_gate_.users = users_.data();
  host_gate_.items = items_.data();
}

namespace {

nlohmann::json mean(double sum, double count) {
  return count > 0 ? nlohmann::json(sum / count) : nlohmann::json();
}

/// Of alpha as a probability, on the probes of users whom the gate did not learn from.
nlohmann::json reliability(const std::vector<double>& totals) {
  nlohmann::json out = {{"bins", nlohmann::json::array()}};
  double count = 0, off = 0;
  for (int bin = 0; bin < GateColumns::reliability_bins; ++bin) {
    const double* sums =
        totals.data() + GateColumns::reliability + GateColumns::reliability_columns * bin;
    out["bins"].push_back(
        {{"count", sums[0]}, {"mean_alpha", mean(sums[1], sums[0])}, {"right", mean(sums[2], sums[0])}});
    count += sums[0];
    off += std::fabs(sums[1] - sums[2]);
  }
  out["probes"] = count;
  out["calibration_error"] = mean(off, count);
  return out;
}

/// "shut" or "open" where a gate that learns has stopped to select: the weight in force is below .01, or
/// above .99, in every bucket that has pairs.
nlohmann::json collapse(const nlohmann::json& buckets) {
  double least = 1, most = 0;
  for (const nlohmann::json& bucket : buckets) {
    if (bucket["mean_weight"].is_null()) continue;
    least = std::min(least, bucket["mean_weight"].get<double>());
    most = std::max(most, bucket["mean_weight"].get<double>());
  }
  if (least > most) return nullptr;
  return most < 0.01 ? "shut" : least > 0.99 ? "open" : nlohmann::json();
}

}  // namespace

nlohmann::json Gated::telemetry(const std::vector<double>& totals) {
  const double pairs = totals[GateColumns::pairs], probes = totals[GateColumns::probes];
  nlohmann::json out = {{"rule", spec_.rule->name},
                        {"objective", spec_.objective->name},
                        {"penalty", spec_.penalty->name},
                        {"sides", spec_.least_side ? "min" : "mean"},
                        {"parameters", state_.parameters()},
                        {"pairs", pairs},
                        {"probes", probes},
                        {"active_share", mean(totals[GateColumns::active], pairs)},
                        {"agreement", mean(totals[GateColumns::agreement], probes)}};
  double count = 0, alpha = 0;
  for (std::size_t b = 0; b < std::size(kBuckets); ++b) {
    const double* sums = totals.data() + GateColumns::bucket + GateColumns::bucket_columns * b;
    const double own = sums[0] > 0 ? sums[1] / sums[0] : 0;
    const double variance = sums[0] > 0 ? std::max(0.0, sums[2] / sums[0] - own * own) : 0;
    out["buckets"][kBuckets[b]] = {{"count", sums[0]},
                                   {"mean_alpha", mean(sums[1], sums[0])},
                                   {"mean_weight", mean(sums[3], sums[0])},
                                   {"deviation", mean(std::sqrt(variance) * sums[0], sums[0])}};
    count += sums[0];
    alpha += sums[1];
  }
  out["mean_alpha"] = mean(alpha, count);
  out["mean_weight"] = mean(totals[GateColumns::pair_weight], pairs);
  if (gate().holds_out) out["reliability"] = reliability(totals);
  if (spec_.rule->n_params > 0) {
    out["collapsed"] = collapse(out["buckets"]);
    if (out["collapsed"] == "shut") {
      out["warning"] =
          "the gate has shut everywhere (mean weight below .01 in every bucket): it has learned that the LLM is "
          "of no use, and the result is that of method=none";
    } else if (out["collapsed"] == "open") {
      out["warning"] =
          "the gate is open everywhere (mean weight above .99 in every bucket): it no longer selects, and the "
          "result is that of method=global";
    }
  }
  require_converged(alpha);
  return out;
}

namespace {

std::vector<std::string> names_of(const std::vector<GatePart>& parts) {
  std::vector<std::string> names;
  for (const GatePart& part : parts) names.emplace_back(part.name);
  return names;
}

const GatePart* known_part(const Config& config, const char* key, const std::vector<GatePart>& parts,
                           const std::string& name) {
  require_known_name(config, key, names_of(parts));
  return find_gate_part(parts, name);
}

const GatePart* part_or_auto(const Config& config, const char* key, const std::vector<GatePart>& parts,
                             const std::string& name, std::string_view standard) {
  if (name == "auto") return find_gate_part(parts, standard);
  std::vector<std::string> names = names_of(parts);
  names.emplace_back("auto");
  require_known_name(config, key, names);
  return find_gate_part(parts, name);
}

std::vector<std::string> gated_words() {
  std::vector<std::string> words = {"global"};
  for (const auto* parts : {&gate_objectives(), &gate_rules()}) {
    for (const GatePart& part : *parts) words.emplace_back(part.name);
  }
  return words;
}

}  // namespace

std::vector<GuidanceColumn> gate_columns() {
  std::vector<GuidanceColumn> columns = {{"mean alpha", "/mean_alpha"},
                                         {"mean weight", "/mean_weight", false},
                                         {"calibration error", "/reliability/calibration_error", false}};
  for (const char* bucket : kBuckets) {
    columns.push_back({bucket, fmt::format("/buckets/{}/mean_alpha", bucket), false});
  }
  return columns;
}

GateSpec gate_spec(const Config& config) {
  const GateConfig& gate = config.gate;
  const std::string word = config.method == "global" ? "always" : config.method;
  GateSpec spec{.rule = find_gate_part(gate_rules(), word),
                .objective = find_gate_part(gate_objectives(), word)};
  if (spec.objective != nullptr) {
    require_not_set(config, "gate.objective", "method=" + config.method + " names the objective");
  } else {
    spec.objective = known_part(config, "gate.objective", gate_objectives(), gate.objective);
  }
  if (spec.rule != nullptr) {
    require_not_set(config, "gate.rule", "method=" + config.method + " names the rule");
  } else {
    spec.rule = part_or_auto(config, "gate.rule", gate_rules(), gate.rule, spec.objective->rule);
  }
  const bool learns = spec.rule->n_params > 0;
  // What the objective asks for is for a gate that learns from it.
  spec.penalty = part_or_auto(config, "llm.penalty", gate_penalties(), config.llm.penalty,
                              learns ? spec.objective->penalty : "hinge");
  spec.least_side = gate.sides == GateConfig::Sides::automatic ? learns && spec.objective->least_side
                                                               : gate.sides == GateConfig::Sides::least;
  spec.matched_probes = gate.probes == GateConfig::Probes::automatic
                            ? spec.objective->matched_probes
                            : gate.probes == GateConfig::Probes::matched;
  if (!spec.rule->uses_draw) {
    require_not_set(config, "gate.mean_alpha", fmt::format("the rule {} is not random", spec.rule->name));
  }
  return spec;
}

void check_uncertainty(const Config& config, const GatePart& rule) {
  const BackboneInfo* backbone = find_backbone(config.model.name);
  const UncertaintyInfo& uncertainty = info_of(config.gate.uncertainty);
  if (backbone == nullptr || !uncertainty.needs_passes || !rule.uses_uncertainty) return;
  std::vector<std::string_view> others;
  for (const UncertaintyInfo& each : kUncertainties) {
    if (!each.needs_passes) others.push_back(each.name);
  }
  const auto refuse = [&](const std::string& reason) {
    throw Error(
        fmt::format("gate.uncertainty={} is the spread that dropout makes, and {}, or use "
                    "gate.uncertainty={}",
                    uncertainty.name, reason, fmt::join(others, " or ")));
  };
  if (!backbone->has_dropout)
    refuse(fmt::format("model.name={} has none: choose a deep model", backbone->name));
  if (!DropoutMask<float>(config.model.dropout, 0, 0, 0).active()) {
    refuse("model.dropout is 0, or too small to drop anything: set it above 2^-16");
  }
}

/// `global` (every pair counts fully), the name of a gate objective (with gate.rule) or that of a gate rule
/// (with gate.objective).
GuidanceInfo gated_guidance() {
  return {.name = "gated",
          .summary = "S-LLMR: a penalty on pairs of scored items, weighted by a gate",
          .words = gated_words(),
          .trains_mf = true,
          .check = [](const Config& config) { check_uncertainty(config, *gate_spec(config).rule); },
          .make = [](const GuidanceSetup& setup) -> std::unique_ptr<Guidance> {
            return std::make_unique<Gated>(setup, gate_spec(setup.config));
          },
          .columns = gate_columns()};
}

}  // namespace sllmr
