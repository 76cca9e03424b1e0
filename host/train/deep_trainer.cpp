#include "host/train/deep_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "host/guidance/registry.h"
#include "host/train/ahead.h"
#include "kernels/exec/communicator.h"
#include "kernels/exec/interrupt.h"
#include "kernels/exec/permutation.h"
#include "kernels/tree_sums.h"

namespace sllmr {

void check_deep_options(const Config& config) {
  const bool mf = config.model.name == "mf" && config.train.loss == BaseLoss::bpr;
  const std::string deep = fmt::format(
      "model.name={}{} is trained in mini-batches by Adam", config.model.name,
      mf ? fmt::format(" with method={}, which its own kernels do not know,", config.method) : "");
  require(config.train.mode == TrainConfig::Mode::exact && info_of(config.train.optimizer).deep,
          deep + ": use train.mode=exact and train.optimizer=" +
              optimizer_names([](const OptimizerInfo& info) { return info.deep; }));
  require(config.train.loss != BaseLoss::bpr || config.train.batch_size % 2 == 0,
          "train.loss=bpr takes rows two by two: train.batch_size must be even");
  require_tree_parts(config.train.micro_batches, "train.micro_batches");
  if (config.train.micro_batches == 1) return;
  require(find_guidance(config).in_micro_batches,
          fmt::format("method={} adds to the loss of a whole batch: leave train.micro_batches at 1",
                      config.method));
  require(!config.train.cuda_graph,
          "train.cuda_graph=true takes whole batches: leave train.micro_batches at 1");
}

DeepTrainer::DeepTrainer(Context& context, const Config& config, const Split& split,
                         const GuidanceInputs& inputs)
    : Trainer(context), config_(config), split_(split), rows_(ctr_train_rows(split, config.seed)) {
  check_deep_options(config);
  require(!config.train.cuda_graph || context.device() == Device::cuda,
          "train.cuda_graph=true needs device=cuda; leave it out on the CPU");
  require(!rows_.empty(), "there is no training row: every user has fewer than 4 interactions");
  if (!find_protocol(config).fixed_negatives) fresh_negatives_.emplace(config, split);
  // No buffer is larger than an epoch.
  batch_size_ = std::min<std::int64_t>(config.train.batch_size, rows_per_epoch());
  const std::int64_t batch = batch_size_;
  chunk_ = (std::min(config.train.chunk_rows, rows_per_epoch()) + batch - 1) / batch * batch;

  features_ =
      std::make_unique<FeatureStore>(context, features_of(config, *split.data), config.data.max_history,
                                     examples_for(config, split, inputs.vectors));
  backbone_ = make_backbone(context, config, *features_, split, inputs.vectors,
                            table_shards(config, context.ranks(), features_->table_rows()));
  const bool lazy = !info_of(config.train.optimizer).every_row;
  require(!lazy || find_backbone(config.model.name)->looks_up_rows,
          "model.name=" + config.model.name +
              " changes every row in every step, so no row can be lazy: use train.optimizer=adam");
  adam_ = std::make_unique<Adam<float>>(
      context, *backbone_, AdamOptions{config.train.lr, config.train.l2, lazy, config.train.embedding_l2});
  shared_ = std::make_unique<SharedTables>(context, *backbone_, *adam_);
  const std::array<bool, kVocabularies> staged = shared_->vocabularies();
  if (!shared_->any()) shared_.reset();
  scorer_ = std::make_unique<RankingScorer>(*features_, *backbone_, split, shared_.get());

  const int micro_batches = config.train.micro_batches;
  const std::int64_t slots =
      micro_batches > 1 ? micro_batches * most_micro_batch_rows(batch, micro_batches) : batch;
  guidance_ = find_guidance(config).make({context, config, split, inputs.table, inputs.vectors, batch, chunk_,
                                          static_cast<int>(slots), backbone_.get()});
  // The next batches are assembled while the device is at work, or the other threads are: with two of them
  // nothing was gained.
  constexpr std::size_t kAhead = 3;
  const auto slots_of_plans = std::make_shared<PlanSlots>(*features_);
  prepared_.resize(context.device() == Device::cuda || context.threads() > 2 ? kAhead : 1);
  for (Prepared& each : prepared_) {
    each.parts.resize(static_cast<std::size_t>(std::max(1, micro_batches / context.ranks().size())));
    for (Part& part : each.parts) {
      part.plan.own = guidance_->make_own();
      part.batcher =
          std::make_unique<FeatureBatcher>(context, *features_,
                                           FeatureBatcherOptions{.max_rows = guidance_->most_rows(),
                                                                 .sequence = backbone_->wants_sequence(),
                                                                 .staged = staged,
                                                                 .slots = slots_of_plans});
    }
  }
  of_others_.own = guidance_->make_own();
  require(
      context.ranks().size() == 1 || micro_batches > 1,
      fmt::format("{} ranks share the micro-batches of a batch, but train.micro_batches is 1: set it to 8, "
                  "say; the same number gives the same model on 1, 2, 4 and 8 ranks",
                  context.ranks().size()));
  if (micro_batches > 1) sums_ = std::make_unique<MicroBatchSums>(context, *backbone_, *adam_, micro_batches);
  targets_ = Buffer<float>(context, static_cast<std::size_t>(batch));
  weights_ = Buffer<float>(context, static_cast<std::size_t>(batch));
  if (config.train.cuda_graph) graph_ = std::make_unique<LaunchGraph>(context);
}

DeepTrainer::~DeepTrainer() = default;

bool DeepTrainer::prepare_training() {
  const ExampleSource* examples = features_->examples();
  if (examples == nullptr || examples_found_) return true;
  std::vector<FeatureRow> rows;
  for (const CtrRow& row : rows_) rows.push_back({row.user, row.item, row.position});
  std::vector<std::int32_t> found(rows.size() * static_cast<std::size_t>(examples->each()));
  try {
    examples->find(rows, found);
  } catch (const Interrupted&) {
    return false;
  }
  return examples_found_ = true;
}

std::optional<EpochReport> DeepTrainer::train_epoch(const std::function<bool(std::int64_t)>& stop) {
  const auto total = rows_per_epoch();
  if (!prepare_training() || !look_at_model()) return std::nullopt;
  scorer_->release();
  start_epoch();
  if (context_.ranks().size() > 1) guidance_->keep_own_slots();
  while (row_ < total) {
    const std::int64_t count = std::min(chunk_, total - row_);
    begin_chunk(row_, count);
    if (!take_batches(count, stop)) return std::nullopt;
    if (context_.ranks().size() > 1) guidance_->gather_slots();
    guidance_->end_chunk(
        guidance_->gate().n_slots,
        [this](std::span<const FeatureRow> rows) -> const FeatureBatch& { return make_batch(rows); });
    row_ += count;
    taken_ = 0;
    if (row_ < total && stop(row_)) return std::nullopt;
  }
  ++epoch_;
  row_ = 0;
  return guidance_->report(total);
}

bool DeepTrainer::take_batches(std::int64_t count, const std::function<bool(std::int64_t)>& stop) {
  const std::int64_t size = batch_size_, begun = taken_;
  bool whole = true;
  run_ahead((count + size - 1) / size, std::ssize(prepared_),
            [&](std::int64_t k, std::int64_t slot) {
              const std::int64_t first = row_ + k * size, n = std::min(size, row_ + count - first);
              prepare(first, n, prepared_[static_cast<std::size_t>(slot)]);
            },
            [&](std::int64_t k, std::int64_t slot) {
              const std::int64_t done = std::min(count, (k + 1) * size);
              if (done <= begun) return true;  // before the run was resumed: the guidance alone wanted it
              take_batch(prepared_[static_cast<std::size_t>(slot)]);
              taken_ = done;
              whole = done == count || !stop(row_ + done);
              return whole;
            });
  if (!whole) guidance_->leave_chunk();
  return whole;
}

bool DeepTrainer::look_at_model() {
  if (epoch_ == 0 || row() > 0) return true;
  try {
    guidance_->look_at_model(static_cast<std::uint32_t>(epoch_), [this](std::span<const Id> users, int k) {
      return best_items(context_, scorer(Target::validation), split_, users, k);
    });
  } catch (const Interrupted&) {
    return false;
  }
  return true;
}

void DeepTrainer::start_epoch() {
  if (row_ == 0) guidance_->start_epoch();
  // Anew even when an epoch is resumed.
  if (fresh_negatives_) fresh_negatives_->draw(static_cast<std::uint32_t>(epoch_), rows_);
}

void DeepTrainer::begin_chunk(std::int64_t first, std::int64_t count) {
  const auto total = static_cast<std::uint64_t>(rows_per_epoch());
  const bool twos = config_.train.loss == BaseLoss::bpr;
  const Permutation shuffle(config_.seed, static_cast<std::uint32_t>(epoch_), twos ? total / 2 : total);
  order_.resize(static_cast<std::size_t>(count));
  for (std::int64_t k = 0; k < count; ++k) {
    const auto at = static_cast<std::uint64_t>(first + k);
    order_[static_cast<std::size_t>(k)] =
        static_cast<std::int64_t>(twos ? 2 * shuffle(at / 2) + at % 2 : shuffle(at));
  }
  std::vector<Id> users(order_.size());
  for (std::size_t k = 0; k < order_.size(); ++k) {
    users[k] = rows_[static_cast<std::size_t>(order_[k])].user;
  }
  guidance_->begin_chunk({static_cast<std::uint32_t>(epoch_), first, count, batch_size_, users});
}

const FeatureBatch& DeepTrainer::make_batch(std::span<const FeatureRow> rows) {
  FeatureBatcher& batcher = *prepared_.front().parts.front().batcher;
  batcher.assemble(rows);
  if (shared_) shared_->fetch(std::array{&batcher});  // all ranks make the same batches
  const FeatureBatch& batch = batcher.upload(context_);
  adam_->begin(context_, batch);  // no step follows: it brings the rows up to date
  return batch;
}

void DeepTrainer::prepare(std::int64_t first, std::int64_t count, Prepared& batch) {
  batch.rows = count;
  batch.cut = sums_ ? micro_batches_of(count, config_.train.micro_batches) : 1;
  batch.used = 0;
  for (int k = 0; k < batch.cut; ++k) {
    const MicroBatchRows rows = rows_of_micro_batch(count, batch.cut, k);
    const bool own = !sums_ || sums_->is_own(k);
    Part* part = own ? &batch.parts[batch.used++] : nullptr;
    plan_part(first + rows.begin, rows.end - rows.begin, own ? part->plan : of_others_);
    if (!own) continue;
    part->number = k;
    part->batcher->assemble(part->plan.rows, part->plan.twins);
  }
  if (!shared_) return;
  std::vector<FeatureBatcher*> batches;
  for (std::size_t k = 0; k < batch.used; ++k) batches.push_back(batch.parts[k].batcher.get());
  shared_->plan(batches, batch.requests);
}

void DeepTrainer::plan_part(std::int64_t first, std::int64_t count, BatchPlan& plan) {
  plan.first = first;
  plan.count = count;
  plan.rows.clear();
  plan.targets.resize(static_cast<std::size_t>(count));
  plan.weights.clear();
  plan.twins = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    const CtrRow& row = rows_[static_cast<std::size_t>(order_[static_cast<std::size_t>(first - row_ + k)])];
    plan.rows.push_back({row.user, row.item, row.position});
    plan.targets[static_cast<std::size_t>(k)] = row.label;
  }
  guidance_->plan(plan);
}

void DeepTrainer::take_batch(Prepared& prepared) {
  if (sums_) {
    if (shared_) shared_->stage(prepared.requests);
    sums_->start();
    for (std::size_t k = 0; k < prepared.used; ++k) {
      Part& part = prepared.parts[k];
      const FeatureBatch& batch = upload(part);
      compute(prepared, part, batch);
      sums_->add(part.number, batch, part.batcher->host());
    }
    if (prepared.used == 0) adam_->begin(context_, {});  // its sweep is due on every rank
    sums_->step(prepared.cut);
  } else {
    const Part& part = prepared.parts.front();
    const FeatureBatch& batch = upload(prepared.parts.front());
    const auto step = [&] {
      compute(prepared, part, batch);
      adam_->step(context_, batch);
    };
    if (graph_) {
      graph_->run(step);
    } else {
      step();
    }
  }
  ++model_steps_;
}

const FeatureBatch& DeepTrainer::upload(Part& part) {
  const BatchPlan& plan = part.plan;
  guidance_->upload(plan);
  copy_to_device(context_, targets_.data(), plan.targets.data(), plan.targets.size() * sizeof(float));
  if (!plan.weights.empty()) {
    copy_to_device(context_, weights_.data(), plan.weights.data(), plan.weights.size() * sizeof(float));
  }
  return part.batcher->upload(context_);
}

void DeepTrainer::compute(const Prepared& prepared, const Part& part, const FeatureBatch& batch) {
  const BatchPlan& plan = part.plan;
  adam_->begin(context_, batch);
  std::unique_ptr<Backbone<float>::Saved> saved;
  // Every micro-batch draws masks of its own.
  const Pass pass{
      true, config_.seed,
      static_cast<std::uint32_t>(model_steps_) * static_cast<std::uint32_t>(config_.train.micro_batches) +
          static_cast<std::uint32_t>(part.number)};
  const Tensor<float> logits = backbone_->forward(context_, batch, pass, &saved);
  const Tensor<float> d_logits(context_, logits.rows(), 1);
  LossHead head;
  head.logits = logits.data();
  head.targets = targets_.data();
  if (!plan.weights.empty()) head.weights = weights_.data();
  head.rows = plan.count;
  head.mean_of = prepared.rows;
  head.loss = config_.train.loss;
  head.gate = guidance_->gate();
  head.gate.n_slots = slots_of_part();
  head.gate.slots += std::ptrdiff_t{part.number} * head.gate.n_slots * GateColumns::stride;
  head.d_logits = d_logits.data();
  RowVectors<float> d_vectors;
  guidance_->loss({plan, batch, *backbone_, *saved, pass, head, d_vectors});
  backbone_->backward(context_, batch, *saved, d_logits, d_vectors);
}

std::int64_t DeepTrainer::parameters() {
  std::int64_t sum = guidance_->parameters();
  for (const auto& part : backbone_->parameters().parts()) sum += part.trained ? part.size : 0;
  for (const Embedding<float>* embedding : backbone_->embeddings()) {
    for (const auto& table : embedding->tables()) sum += std::int64_t{table.rows} * embedding->width();
  }
  return sum;
}

const Scorer& DeepTrainer::scorer(Target target) {
  adam_->flush(context_);
  scorer_->prepare(context_, target);
  return *scorer_;
}

std::vector<float> DeepTrainer::ctr_logits(std::span<const CtrRow> rows) {
  adam_->flush(context_);
  return scorer_->ctr_logits(context_, rows);
}

void DeepTrainer::prepare_save() {
  adam_->flush(context_);
  if (taken_ > 0 && context_.ranks().size() > 1) guidance_->gather_slots();
  guidance_->settle();
}

std::vector<NamedBuffer> DeepTrainer::named_buffers() {
  std::vector<NamedBuffer> named = sllmr::named_buffers(*backbone_);
  for (NamedBuffer& each : adam_->named_buffers()) named.push_back(std::move(each));
  for (NamedBuffer& each : guidance_->named_buffers()) named.push_back(std::move(each));
  return named;
}

std::vector<Trainer::Counter> DeepTrainer::counters() {
  return {{"gate_steps", &guidance_->steps()}, {"model_steps", &model_steps_}};
}

void DeepTrainer::after_load() {
  adam_->set_steps(context_, model_steps_);
  guidance_->after_load();
}

}  // namespace sllmr
