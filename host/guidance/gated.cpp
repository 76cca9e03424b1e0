#include "host/guidance/gated.h"

#include <algorithm>
#include <span>

#include "host/guidance/gate_telemetry.h"
#include "host/guidance/signals.h"
#include "models/mc_dropout.h"
#include "models/user_cosines.h"

namespace sllmr {

namespace {

ProbeDraws probe_draws(const GateArgs& gate, const GateSpec& spec) {
  return !gate.uses_probes ? ProbeDraws::none : spec.matched_probes ? ProbeDraws::matched : ProbeDraws::any;
}

}  // namespace

Gated::Gated(const GuidanceSetup& setup, const GateSpec& spec)
    : Guidance(setup, spec, setup.backbone ? setup.slots : 0),
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
    Id item;
    GateSignals z;
    float most = 0, sum = 0;
  };
  Levels a{pair.a, gate_signals(host_gate_, user, pair.a, pair.gap())},
      b{pair.b, gate_signals(host_gate_, user, pair.b, pair.gap())};
  for (Levels* side : {&a, &b}) {
    for (const float uncertainty : kShares) {
      for (std::size_t k = 0; k < n_logits; ++k) {
        side->z.uncertainty = uncertainty;
        side->z.logit = kLogits[k];
        const float alpha = alpha_of(host_gate_, user, side->item, side->z);
        side->most = max(side->most, alpha);  // NaN stays NaN
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

nlohmann::json Gated::telemetry(const std::vector<double>& totals) {
  nlohmann::json out = gate_telemetry(spec_, gate().holds_out, state_.parameters(), totals);
  if (!out["mean_alpha"].is_null()) require_converged(out["mean_alpha"]);
  return out;
}

namespace {

std::vector<std::string> gated_words() {
  std::vector<std::string> words = {"global"};
  for (const auto* parts : {&gate_objectives(), &gate_rules()}) {
    for (const GatePart& part : *parts) words.emplace_back(part.name);
  }
  return words;
}

}  // namespace

/// `global` (every pair counts fully), the name of a gate objective (with gate.rule) or that of a gate rule
/// (with gate.objective).
GuidanceInfo gated_guidance() {
  return {.name = "gated",
          .summary = "S-LLMR: a penalty on pairs of scored items, weighted by a gate",
          .words = gated_words(),
          .reads_gate = true,
          .trains_mf = true,
          .unused = [](const Config& config,
                       std::string_view key) { return why_gate_key_unused(config, gate_spec(config), key); },
          .check = [](const Config& config) { check_uncertainty(config, *gate_spec(config).rule); },
          .make = [](const GuidanceSetup& setup) -> std::unique_ptr<Guidance> {
            return std::make_unique<Gated>(setup, gate_spec(setup.config));
          },
          .columns = gate_columns()};
}

}  // namespace sllmr
