#include "host/train/deep_trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/train/ahead.h"
#include "kernels/exec/random.h"
#include "models/registry.h"
#include "models/user_cosines.h"

namespace sllmr {

namespace {

BaseLoss base_loss(TrainConfig::Loss loss) {
  switch (loss) {
    case TrainConfig::Loss::bce:
      return BaseLoss::bce;
    case TrainConfig::Loss::clamped_bce:
      return BaseLoss::clamped_bce;
    case TrainConfig::Loss::bpr:
      break;
  }
  return BaseLoss::bpr;
}

void check_options(const Context& context, const Config& config) {
  const std::string deep = "model.name=" + config.model.name + " is trained in mini-batches by Adam";
  if (config.train.mode == TrainConfig::Mode::fused) {
    throw Error(deep + ": use train.mode=exact");
  }
  if (config.train.optimizer != TrainConfig::Optimizer::adam &&
      config.train.optimizer != TrainConfig::Optimizer::lazy_adam) {
    throw Error(deep + ": use train.optimizer=adam or lazy_adam");
  }
  require_not_set(config, "model.init_std", deep + " and starts as its paper's code does");
  check_common_options(config);
  require(config.train.loss != TrainConfig::Loss::bpr || config.train.batch_size % 2 == 0,
          "train.loss=bpr takes rows two by two: train.batch_size must be even");
  require(!config.train.cuda_graph || context.device() == Device::cuda,
          "train.cuda_graph=true needs device=cuda; leave it out on the CPU");
}

/// Items that a user may not get as a fresh negative, sorted.
std::vector<Id> sorted_training_items(const Split& split, Id user) {
  const auto train = split.train_items(user);
  std::vector<Id> own(train.begin(), train.end());
  std::sort(own.begin(), own.end());
  return own;
}

}  // namespace

std::vector<Interaction> training_interactions(const Split& split) {
  std::vector<Interaction> interactions;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    for (const Id item : split.train_items(user)) interactions.push_back({user, item});
  }
  return interactions;
}

DeepTrainer::DeepTrainer(Context& context, const Config& config, const Method& method, const Split& split,
                         const ScoreTable* table)
    : Trainer(context),
      config_(config),
      split_(split),
      fresh_negatives_(config.eval.protocol == EvalConfig::Protocol::full),
      skips_closed_(method.uses_llm && config.gate.skip_below > 0 &&
                    (method.objective->skips_closed || method.rule->n_params == 0)),
      rows_(ctr_train_rows(split, config.seed)) {
  check_options(context, config);
  require(!rows_.empty(), "there is no training row: every user has fewer than 4 interactions");
  // No buffer is larger than an epoch.
  batch_size_ = std::min<std::int64_t>(config.train.batch_size, rows_per_epoch());
  const std::int64_t batch = batch_size_;
  stretch_ = (std::min(config.train.chunk_rows, rows_per_epoch()) + batch - 1) / batch * batch;

  features_ = std::make_unique<FeatureStore>(context, feature_source(*split.data), config.data.max_history);
  BackboneOptions options;
  options.width = config.model.width;
  options.hidden = config.model.hidden;
  options.dropout = config.model.dropout;
  options.cross = config.model.cross == ModelConfig::Cross::full ? CrossKind::full : CrossKind::mixture;
  options.frozen_bias = config.model.frozen_bias;
  options.relu_deep_logit = config.model.relu_deep_logit;
  options.seed = config.seed;
  options.table_rows = features_->table_rows();
  options.interactions = training_interactions(split);
  const BackboneInfo& info = *find_backbone(config.model.name);
  backbone_ = info.make(context, options);
  const FeatureSource& source = features_->source();
  if (source.brand_rows == 1 && source.category_rows == 1 && info.reads_attributes) {
    require(config.data.allow_missing_attributes,
            split.data->source + ": no item has attributes, but model.name=" + config.model.name +
                " reads brand and categories: add an item file with attributes (data.items), or set "
                "data.allow_missing_attributes=true to leave these fields empty");
  }
  require(config.train.optimizer != TrainConfig::Optimizer::lazy_adam || !backbone_->embeddings().empty(),
          "model.name=" + config.model.name +
              " changes every row in every step, so no row can be lazy: use train.optimizer=adam");
  adam_ =
      std::make_unique<Adam<float>>(context, *backbone_,
                                    AdamOptions{config.train.lr, config.train.l2,
                                                config.train.optimizer == TrainConfig::Optimizer::lazy_adam});
  scorer_ = std::make_unique<RankingScorer>(*features_, *backbone_, split);

  // A row brings at most one guiding pair, of two rows.
  const std::int64_t most_rows = method.uses_llm ? 3 * batch : batch,
                     most_items = method.uses_llm ? 2 * batch : batch;
  // The next batches are assembled while the device is at work, or the other threads are: with two of them
  // nothing was gained.
  constexpr std::size_t kAhead = 3;
  prepared_.resize(context.device() == Device::cuda || context.threads() > 2 ? kAhead : 1);
  for (Prepared& each : prepared_) {
    each.batcher = std::make_unique<FeatureBatcher>(
        context, *features_, FeatureBatcherOptions{most_rows, backbone_->wants_sequence(), true});
  }
  selective_ = std::make_unique<Selective>(context, config, method, split, table, batch, stretch_,
                                           static_cast<int>(most_items));
  labels_ = Buffer<float>(context, static_cast<std::size_t>(batch));
  if (config.train.cuda_graph) graph_ = std::make_unique<LaunchGraph>(context);
  if (!selective_->uses_llm()) return;
  if (method.objective->uses_cosine) require_user_rows(*backbone_);
  triples_ = Buffer<Triple>(context, static_cast<std::size_t>(stretch_));
  heads_ = Buffer<HeadPair>(context, static_cast<std::size_t>(batch));
  host_gate_ = selective_->host_gate();
}

DeepTrainer::~DeepTrainer() = default;

std::optional<EpochReport> DeepTrainer::train_epoch(const std::function<bool(std::int64_t)>& stop) {
  const auto total = rows_per_epoch();
  scorer_->release();
  start_epoch();
  while (row_ < total) {
    const std::int64_t count = std::min(stretch_, total - row_);
    order_stretch(row_, count);
    if (!take_batches(count, stop)) return std::nullopt;
    take_probes();
    selective_->finish_stretch(selective_->gate().n_slots);
    fetch_gate();
    row_ += count;
    taken_ = 0;
    if (row_ < total && stop(row_)) return std::nullopt;
  }
  ++epoch_;
  row_ = 0;
  return selective_->report(total);
}

bool DeepTrainer::take_batches(std::int64_t count, const std::function<bool(std::int64_t)>& stop) {
  const RowPairs* pairs = stretch_pairs_.data();
  const std::int64_t size = batch_size_, begun = taken_;
  selective_->start_stretch();
  probe_rows_.clear();
  probe_heads_.clear();
  bool whole = true;
  run_ahead((count + size - 1) / size, std::ssize(prepared_),
            [&](std::int64_t k, std::int64_t slot) {
              const std::int64_t first = row_ + k * size, n = std::min(size, row_ + count - first);
              prepare(first, n, pairs, prepared_[static_cast<std::size_t>(slot)]);
              pairs += selective_->pair_rate().count(first, n);
            },
            [&](std::int64_t k, std::int64_t slot) {
              const std::int64_t done = std::min(count, (k + 1) * size);
              if (done <= begun)
                return true;  // before the run was resumed; only its probes were still wanted
              take_batch(prepared_[static_cast<std::size_t>(slot)]);
              taken_ = done;
              whole = done == count || !stop(row_ + done);
              return whole;
            });
  if (!whole) selective_->forget_stretch();
  return whole;
}

void DeepTrainer::start_epoch() {
  if (row_ == 0) selective_->start_epoch();
  if (!fresh_negatives_) return;
  // Drawn anew even when an epoch is resumed: they depend on (seed, epoch, row) alone.
  std::vector<Id> own;
  Id user = 0;
  const auto items = static_cast<std::uint32_t>(split_.data->items.count());
  for (std::size_t k = 1; k < rows_.size(); k += 2) {
    if (rows_[k].user != user) {
      user = rows_[k].user;
      own = sorted_training_items(split_, user);
    }
    rows_[k].item = 0;
    for (std::uint32_t block = 0; rows_[k].item == 0; ++block) {
      const Draw draw = philox(config_.seed, static_cast<std::uint32_t>(epoch_), k, Purpose::negative, block);
      for (const std::uint32_t word : draw.word) {
        const Id item = 1 + static_cast<Id>(below(word, items));
        if (rows_[k].item == 0 && !std::binary_search(own.begin(), own.end(), item)) rows_[k].item = item;
      }
    }
  }
}

void DeepTrainer::order_stretch(std::int64_t first, std::int64_t count) {
  const auto total = static_cast<std::uint64_t>(rows_per_epoch());
  const bool twos = config_.train.loss == TrainConfig::Loss::bpr;
  const Permutation shuffle(config_.seed, static_cast<std::uint32_t>(epoch_), twos ? total / 2 : total);
  order_.resize(static_cast<std::size_t>(count));
  for (std::int64_t k = 0; k < count; ++k) {
    const auto at = static_cast<std::uint64_t>(first + k);
    order_[static_cast<std::size_t>(k)] =
        static_cast<std::int64_t>(twos ? 2 * shuffle(at / 2) + at % 2 : shuffle(at));
  }
  if (!selective_->uses_llm()) return;
  std::vector<Triple> triples(static_cast<std::size_t>(stretch_));
  for (std::size_t k = 0; k < order_.size(); ++k) {
    triples[k].user = rows_[static_cast<std::size_t>(order_[k])].user;
  }
  triples_.assign(context_, std::span<const Triple>(triples));
  selective_->sample(static_cast<std::uint32_t>(epoch_), first, count, triples_.data());
  if (config_.llm.max_pairs_per_batch > 0) {
    RowPairs* pairs = selective_->pairs();
    for (std::int64_t batch = first; batch < first + count; batch += batch_size_) {
      const std::int64_t n =
          selective_->pair_rate().count(batch, std::min(batch_size_, first + count - batch));
      selective_->keep_largest(pairs, n);
      pairs += n;
    }
  }
  // All at once: the device would have to be waited for at each batch.
  stretch_pairs_.resize(static_cast<std::size_t>(selective_->pair_rate().count(first, count)));
  if (stretch_pairs_.empty()) return;
  copy_to_host(context_, stretch_pairs_.data(), selective_->pairs(),
               stretch_pairs_.size() * sizeof(RowPairs));
}

bool DeepTrainer::open(const LlmPair& pair, Id user) {
  if (!skips_closed_) return true;
  // The gate's uncertainty is known only after the forward pass; a rule need not be monotonic in it, but is
  // smooth enough for these.
  constexpr float kUncertainties[] = {0.0F, 0.25F, 0.5F, 0.75F, 1.0F};
  float most = 0, sum_a = 0, sum_b = 0;
  GateSignals a = gate_signals(host_gate_, user, pair.a, pair.gap),
              b = gate_signals(host_gate_, user, pair.b, pair.gap);
  for (const float q : kUncertainties) {
    a.uncertainty = b.uncertainty = q;
    const float alpha_a = gate_alpha(host_gate_, a), alpha_b = gate_alpha(host_gate_, b);
    most = std::max({most, alpha_a, alpha_b});
    sum_a += alpha_a;
    sum_b += alpha_b;
  }
  if (!(most < static_cast<float>(config_.gate.skip_below))) return true;
  constexpr float kMean = 1.0F / std::size(kUncertainties);
  selective_->count_closed(a, kMean * sum_a);
  selective_->count_closed(b, kMean * sum_b);
  return false;
}

void DeepTrainer::append_pairs(const RowPairs& pairs, std::int32_t row, Prepared& batch) {
  const Id user = batch.rows[static_cast<std::size_t>(row)].user;
  // The probe is the last training item: neither the LLM nor the model may see it in the history. (That of a
  // table older than the data lies in the history; only the gate's uncertainty can tell.)
  const std::int32_t position = std::max(0, split_.train_size[static_cast<std::size_t>(user)] - 1);
  const LlmPair &guide = pairs.guide, &probe = pairs.probe;
  if (guide.a != 0 && open(guide, user)) {
    const auto a = static_cast<std::int32_t>(batch.rows.size());
    batch.rows.push_back({user, guide.a, position});
    batch.heads.push_back({guide, user, a, 0, 0, row});
  }
  if (probe.a != 0) {
    probe_rows_.push_back({user, probe.a, position});
    probe_rows_.push_back({user, probe.b, position});
    probe_heads_.push_back({probe, user, 0, 0, 1});
  }
}

void DeepTrainer::take_probes() {
  LossHeadArgs head;
  head.gate = selective_->gate();
  head.pairs = heads_.data();
  for (std::size_t first = 0; first < probe_heads_.size(); first += heads_.size()) {
    const std::size_t n = std::min(heads_.size(), probe_heads_.size() - first);
    for (std::size_t k = 0; k < n; ++k) {
      HeadPair& pair = probe_heads_[first + k];
      pair.row_a = static_cast<std::int32_t>(2 * k);
      pair.row_b = pair.row_a + 1;
    }
    copy_to_device(context_, heads_.data(), probe_heads_.data() + first, n * sizeof(HeadPair));
    const FeatureBatch& batch = prepared_.front().batcher->make(
        context_, std::span<const FeatureRow>(probe_rows_).subspan(2 * first, 2 * n));
    adam_->begin(context_, batch);  // no step follows: it brings the rows up to date
    const Tensor<float> logits = backbone_->forward(context_, batch, Pass{}, nullptr);
    const Tensor<float> d_logits(context_, logits.rows(), 1);  // nobody reads it
    head.logits = logits.data();
    head.d_logits = d_logits.data();
    head.n_pairs = static_cast<std::int64_t>(n);
    loss_head(context_, head);
  }
  probe_rows_.clear();
  probe_heads_.clear();
}

void DeepTrainer::prepare(std::int64_t first, std::int64_t count, const RowPairs* pairs, Prepared& batch) {
  batch.rows.clear();
  batch.labels.assign(labels_.size(), 0.0F);
  batch.heads.clear();
  batch.count = count;
  for (std::int64_t k = 0; k < count; ++k) {
    const CtrRow& row = rows_[static_cast<std::size_t>(order_[static_cast<std::size_t>(first - row_ + k)])];
    batch.rows.push_back({row.user, row.item, row.position});
    batch.labels[static_cast<std::size_t>(k)] = row.label;
  }
  if (selective_->uses_llm()) {
    const Share rate = selective_->pair_rate();
    for (std::int64_t k = 0; k < count; ++k) {
      if (rate.selects(static_cast<std::uint64_t>(first + k))) {
        append_pairs(*pairs++, static_cast<std::int32_t>(k), batch);
      }
    }
    for (HeadPair& head : batch.heads) {
      const FeatureRow twin = batch.rows[static_cast<std::size_t>(head.row_a)];
      head.row_b = static_cast<std::int32_t>(batch.rows.size());
      batch.rows.push_back({twin.user, head.pair.b, twin.position});
    }
  }
  batch.batcher->assemble(batch.rows, batch.heads.size());
}

void DeepTrainer::take_batch(Prepared& prepared) {
  if (!prepared.heads.empty()) {
    copy_to_device(context_, heads_.data(), prepared.heads.data(), prepared.heads.size() * sizeof(HeadPair));
  }
  labels_.assign(context_, std::span<const float>(prepared.labels));
  const FeatureBatch& batch = prepared.batcher->upload(context_);
  const auto pairs = static_cast<std::int64_t>(prepared.heads.size());
  if (graph_) {
    graph_->run([&] { take_step(batch, prepared.count, pairs); });
  } else {
    take_step(batch, prepared.count, pairs);
  }
  ++model_steps_;
}

void DeepTrainer::take_step(const FeatureBatch& batch, std::int64_t count, std::int64_t pairs) {
  adam_->begin(context_, batch);
  std::unique_ptr<Backbone<float>::Saved> saved;
  const Pass pass{true, config_.seed, static_cast<std::uint32_t>(model_steps_)};
  const Tensor<float> logits = backbone_->forward(context_, batch, pass, &saved);
  const Tensor<float> d_logits(context_, logits.rows(), 1);
  LossHeadArgs head;
  head.logits = logits.data();
  head.labels = labels_.data();
  head.rows = count;
  head.loss = base_loss(config_.train.loss);
  head.pairs = heads_.data();
  head.n_pairs = pairs;
  head.gate = selective_->gate();
  head.d_logits = d_logits.data();
  Tensor<float> cosines;
  if (head.gate.uses_cosine && head.n_pairs > 0) {
    cosines = user_cosines(context_, *backbone_, batch, *saved, head);
    head.cosines = cosines.data();
  }
  loss_head(context_, head);
  backbone_->backward(context_, batch, *saved, d_logits);
  adam_->step(context_, batch);
}

const Scorer& DeepTrainer::scorer(Target target) {
  adam_->flush(context_);
  scorer_->prepare(context_, target);
  return *scorer_;
}

std::vector<float> DeepTrainer::ctr_logits(std::span<const CtrRow> rows) {
  adam_->flush(context_);
  std::vector<FeatureRow> features(rows.size());
  for (std::size_t k = 0; k < rows.size(); ++k) features[k] = {rows[k].user, rows[k].item, rows[k].position};
  Buffer<float> logits(context_, rows.size());
  scorer_->score(context_, features, logits.data());
  return logits.to_host(context_);
}

void DeepTrainer::prepare_save() {
  adam_->flush(context_);
  selective_->add_closed();
}

std::vector<NamedBuffer> DeepTrainer::named_buffers() {
  std::vector<NamedBuffer> named = sllmr::named_buffers(*backbone_);
  for (NamedBuffer& each : adam_->named_buffers()) named.push_back(std::move(each));
  for (NamedBuffer& each : selective_->named_buffers()) named.push_back(std::move(each));
  return named;
}

std::vector<NamedBuffer> DeepTrainer::stretch_buffers() {
  return {selective_->sums_of_stretch()};
}

std::vector<Trainer::Counter> DeepTrainer::counters() {
  return {{"gate_steps", &selective_->steps()}, {"model_steps", &model_steps_}};
}

void DeepTrainer::after_load() {
  adam_->set_steps(context_, model_steps_);
  fetch_gate();
}

void DeepTrainer::fetch_gate() {
  if (!skips_closed_) return;  // this waits for the device
  selective_->fetch_parameters();
  host_gate_ = selective_->host_gate();
}

}  // namespace sllmr
