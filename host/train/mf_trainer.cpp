#include "host/train/mf_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "host/eval/ctr.h"
#include "host/guidance/registry.h"
#include "host/train/sharded_mf_scores.h"
#include "host/train/stored_model.h"
#include "kernels/exec/communicator.h"
#include "kernels/exec/interrupt.h"
#include "kernels/fused_mf_step.h"

namespace sllmr {

void check_mf_options(const Config& config) {
  if (config.train.mode == TrainConfig::Mode::fused) require_fused(config.train.optimizer);
}

MfTrainer::MfTrainer(Context& context, const Config& config, const Split& split, const GuidanceInputs& inputs)
    : Trainer(context), config_(config), optimizer_(config.train.optimizer) {
  check_mf_options(config);
  const Communicator& ranks = context.ranks();
  const Dataset& data = *split.data;
  const bool exact = config.train.mode == TrainConfig::Mode::exact;
  require(ranks.size() == 1 || exact,
          fmt::format("train.mode=fused trains on one rank, as its triples read rows that others have just "
                      "written; {} ranks need train.mode=exact",
                      ranks.size()));

  std::vector<Id> items;
  std::vector<std::int64_t> offsets{0, 0};
  for (Id user = 1; user < data.users.rows(); ++user) {
    const auto train = split.train_items(user);
    items.insert(items.end(), train.begin(), train.end());
    offsets.push_back(std::ssize(items));
  }
  require(!items.empty(), "there is no training interaction: every user has fewer than 3");
  interactions_ = InteractionIndex(context, offsets, items, data.items.count(), config.train.negative_power);
  if (const Id user = interactions_.user_of_all_items(); user != 0) {
    throw Error("user '" + std::string(data.users.token(user)) +
                "' has taken every item in training: there is no negative to sample; remove the user");
  }
  const std::int64_t n = interactions_.view().n;

  // The exact mode samples whole batches; a chunk of many saves launches. No buffer is larger than an
  // epoch.
  constexpr std::int64_t kExactChunk = 16384;
  // Steps of several ranks wait for each other: so few that a request to stop is heard in time.
  constexpr std::int64_t kStepsByRanks = 64;
  batch_size_ = std::min<std::int64_t>(config.train.batch_size, n);
  const std::int64_t most =
      ranks.size() > 1 ? std::min(kExactChunk, kStepsByRanks * batch_size_) : kExactChunk;
  chunk_ = exact ? (std::min(most, n) + batch_size_ - 1) / batch_size_ * batch_size_
                 : std::min(config.train.chunk_rows, n);
  triples_ = Buffer<Triple>(context, static_cast<std::size_t>(chunk_));

  MfOptions options = mf_options(config, optimizer_);
  options.shard = {ranks.rank(), ranks.size()};
  model_ = std::make_unique<Mf>(context, data.users.rows(), data.items.rows(), options);
  const int slots = exact ? static_cast<int>(batch_size_) : concurrent_slots(context);
  guidance_ = find_guidance(config).make(
      {context, config, split, inputs.table, inputs.vectors, batch_size_, chunk_, slots});
  if (ranks.size() > 1) {
    guidance_->step_on_first_rank();
    by_ranks_ = std::make_unique<ShardedMfBatch>(context, config.model.width, options.shard,
                                                 data.users.rows(), data.items.rows(), batch_size_,
                                                 guidance_->gate_params(), optimizer_);
  } else if (exact) {
    batch_ = std::make_unique<MfBatch>(context, config.model.width, data.users.rows(), data.items.rows(),
                                       batch_size_, optimizer_);
  }
  args_.users = model_->users();
  args_.items = model_->items();
  args_.optimizer = {static_cast<float>(config.train.lr), static_cast<float>(config.train.l2)};
  args_.gate = guidance_->gate();
  if (MfPairs* pairs = guidance_->mf_pairs()) args_.pair_rate = pairs->pair_rate();
}

std::optional<EpochReport> MfTrainer::train_epoch(const std::function<bool(std::int64_t)>& stop) {
  if (row_ == 0) guidance_->start_epoch();
  const std::int64_t n = rows_per_epoch();
  while (row_ < n) {
    const std::int64_t count = std::min(chunk_, n - row_);
    take_chunk(count);
    row_ += count;
    if (row_ < n && stop(row_)) return std::nullopt;
  }
  ++epoch_;
  row_ = 0;
  return guidance_->report(n);
}

void MfTrainer::take_chunk(std::int64_t count) {
  const auto epoch = static_cast<std::uint32_t>(epoch_);
  run(context_, SampleTriples{.interactions = interactions_.view(),
                              .seed = config_.seed,
                              .epoch = epoch,
                              .first_row = row_,
                              .count = count,
                              .block_rows = config_.train.block_rows,
                              .out = triples_.data()});
  MfPairs* source = guidance_->mf_pairs();
  if (source != nullptr) source->sample(epoch, row_, count, triples_.data());
  if (batch_ == nullptr && by_ranks_ == nullptr) {
    args_.triples = triples_.data();
    args_.rows = count;
    args_.first_row = row_;
    args_.pairs = source != nullptr ? source->pairs() : nullptr;
    const int width = config_.model.width;
    const std::int64_t rows = std::int64_t{model_->user_rows()} + model_->item_rows();
    run(context_, FusedMfStep{.width = width,
                              .optimizer = optimizer_,
                              .mf = args_,
                              .beyond_cache = outgrow_cache(rows, width, optimizer_)});
    guidance_->end_chunk(args_.gate.n_slots, nullptr);
    return;
  }
  std::vector<Triple> on_host;
  if (by_ranks_ != nullptr) on_host = triples_.to_host(context_);
  for (std::int64_t first = 0; first < count; first += batch_size_) {
    args_.triples = triples_.data() + first;
    args_.rows = std::min(batch_size_, count - first);
    args_.first_row = row_ + first;
    if (source != nullptr) {
      RowPairs* pairs = source->pairs() + args_.pair_rate.count(row_, first);
      args_.pairs = pairs;
      source->limit(pairs, args_.pair_rate.count(args_.first_row, args_.rows));
    }
    ++model_steps_;
    if (by_ranks_ != nullptr) {
      step_by_ranks(std::span(on_host).subspan(static_cast<std::size_t>(first)));
    } else {
      batch_->step(context_, model_steps_, args_);
    }
    guidance_->end_chunk(static_cast<int>(args_.rows), nullptr);
  }
}

void MfTrainer::step_by_ranks(std::span<const Triple> triples) {
  std::vector<RowPairs> pairs;
  if (args_.pairs != nullptr) {
    pairs.resize(static_cast<std::size_t>(args_.pair_rate.count(args_.first_row, args_.rows)));
    if (!pairs.empty()) copy_to_host(context_, pairs.data(), args_.pairs, pairs.size() * sizeof(RowPairs));
  }
  by_ranks_->step(context_, model_steps_, args_, triples, pairs);
  interrupted();  // is heard, though training stops at the chunk's end
}

std::string MfTrainer::remark() const {
  const Communicator& ranks = context_.ranks();
  const OptimizerInfo& info = info_of(optimizer_);
  const double rows = static_cast<double>(model_->user_rows()) + model_->item_rows(),
               bytes = rows * (4.0 * model_->width() * (1 + info.moments) + (info.counts_steps ? 4 : 0));
  if (ranks.size() == 1) return {};
  const std::vector<DeviceInfo> devices = list_devices();
  const double memory =
      std::ranges::find(devices, context_.device(), &DeviceInfo::device)->memory_gib * 0x1p30;
  if (bytes > memory / 2) return {};
  const double sent =
      sharded_step_bytes(ranks.size(), batch_size_, model_->width(),
                         static_cast<double>(args_.pair_rate.fixed) * 0x1p-32, guidance_->gate_params());
  return fmt::format(
      "{} ranks shard tables of {:.1f} MB, which the {:.0f} GB of one device would hold: each sends some "
      "{:.2f} MB in a step of {} triples, and one rank alone is faster (docs/scale.md)",
      ranks.size(), bytes / 1e6, memory / 1e9, sent / 1e6, batch_size_);
}

std::vector<float> MfTrainer::ctr_logits(std::span<const CtrRow> rows) {
  return by_ranks_ != nullptr ? score_shared_rows(context_, *model_, rows)
                              : score_rows(context_, *model_, rows);
}

std::vector<NamedBuffer> MfTrainer::named_buffers() {
  std::vector<NamedBuffer> named = model_->named_buffers();
  for (NamedBuffer& each : guidance_->named_buffers()) named.push_back(std::move(each));
  return named;
}

std::vector<Trainer::Counter> MfTrainer::counters() {
  return {{"gate_steps", &guidance_->steps()}, {"model_steps", &model_steps_}};
}

}  // namespace sllmr
