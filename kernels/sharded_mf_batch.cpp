#include "kernels/sharded_mf_batch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/exec/device_exchange.h"

namespace sllmr {

namespace {

template <class T>
void to_device(const Context& context, T* to, const std::vector<T>& from) {
  if (!from.empty()) copy_to_device(context, to, from.data(), from.size() * sizeof(T));
}

/// Columns of a slot that a row adds to: of one without pairs, the base loss's.
template <class Function>
void for_columns(bool with_pairs, int gate_params, const Function& function) {
  if (!with_pairs) return function(GateColumns::rows, 2);
  function(GateColumns::theta, gate_params);
  function(GateColumns::bucket, GateColumns::used - GateColumns::bucket);
}
static_assert(GateColumns::loss == GateColumns::rows + 1);

}  // namespace

ShardedMfBatch::ShardedMfBatch(const Context& context, int width, const RowShard& shard, Id user_rows,
                               Id item_rows, std::int64_t max_rows, int gate_params, OptimizerKind optimizer)
    : width_(width), shard_(shard), gate_params_(gate_params), optimizer_(optimizer) {
  for_mf_width(width, [](auto) {});
  require(max_rows <= std::numeric_limits<std::int32_t>::max() / ItemGradients::most,
          "a batch of " + std::to_string(max_rows) + " rows is too large: use a smaller train.batch_size");
  rows_ =
      MfBatchRows(context, width, shard.rows_of(user_rows), shard.rows_of(item_rows), max_rows, optimizer);
  const auto rows = static_cast<std::size_t>(max_rows);
  device_triples_ = Buffer<Triple>(context, rows);
  device_places_ = Buffer<Triple>(context, rows);
  device_pairs_ = Buffer<RowPairs>(context, rows);
  device_pair_places_ = Buffer<RowPairs>(context, rows);
  device_pair_of_ = Buffer<std::int32_t>(context, rows);
  device_gradients_ = Buffer<ItemGradients>(context, rows);
  records_.resize(static_cast<std::size_t>(shard.ranks));
  record_users_.resize(records_.size());
}

void ShardedMfBatch::take_own_rows(const MfArgs& args, std::span<const Triple> triples,
                                   std::span<const RowPairs> pairs) {
  numbers_.clear();
  triples_.clear();
  pairs_.clear();
  pair_of_.clear();
  for (std::int64_t k = 0; k < args.rows; ++k) {
    const Triple& triple = triples[static_cast<std::size_t>(k)];
    if (!shard_.owns(triple.user)) continue;
    numbers_.push_back(static_cast<std::int32_t>(k));
    triples_.push_back(triple);
    const bool selected =
        args.pairs != nullptr && args.pair_rate.selects(static_cast<std::uint64_t>(args.first_row + k));
    pair_of_.push_back(selected ? static_cast<std::int32_t>(pairs_.size()) : -1);
    if (selected) pairs_.push_back(pairs[static_cast<std::size_t>(args.pair_rate.count(args.first_row, k))]);
  }
  triple_places_ = triples_;
  pair_places_ = pairs_;
  wanted_.clear();
  for (Triple& each : triple_places_) {
    each.user = shard_.place(each.user);
    wanted_.insert(wanted_.end(), {&each.positive, &each.negative});
  }
  for (RowPairs& each : pair_places_)
    wanted_.insert(wanted_.end(), {&each.guide.a, &each.guide.b, &each.probe.a, &each.probe.b});
  request_.plan(shard_, wanted_);
}

void ShardedMfBatch::step(const Context& context, std::int32_t step, const MfArgs& args,
                          std::span<const Triple> triples, std::span<const RowPairs> pairs) {
  slots_ = item_slots(args);
  take_own_rows(args, triples, pairs);
  const Id asked = static_cast<Id>(1 + request_.rows());
  request_.ask(context);
  const Tensor<float> staged = request_.fetch(context, {args.items.weights, rows_.item_rows(), width_});
  to_device(context, device_triples_.data(), triples_);
  to_device(context, device_places_.data(), triple_places_);
  to_device(context, device_pairs_.data(), pairs_);
  to_device(context, device_pair_places_.data(), pair_places_);
  to_device(context, device_pair_of_.data(), pair_of_);

  MfArgs own = args;
  own.items = {};
  own.items.weights = staged.data();
  own.triples = device_triples_.data();
  own.rows = std::ssize(triples_);
  own.pairs = args.pairs != nullptr ? device_pairs_.data() : nullptr;
  own.places = {device_places_.data(), device_pair_places_.data(), device_pair_of_.data()};
  run(context, MfGradients{.width = width_,
                           .mf = own,
                           .gradients = device_gradients_.data(),
                           .user_keys = rows_.user_keys(),
                           .item_keys = rows_.item_keys(),
                           .no_item = asked});
  // The users' rows as they are before the step.
  const Tensor<float> user_rows = send_records(context, {args.users.weights, rows_.user_rows(), width_});

  own.triples = device_places_.data();
  const auto update = [&](const MfArgs& mf, const ItemGradients* gradients, const MfOccurrences& users,
                          const MfOccurrences& items) {
    run(context, MfUpdate{.width = width_,
                          .optimizer = optimizer_,
                          .step = step,
                          .mf = mf,
                          .mean_of = args.rows,
                          .gradients = gradients,
                          .users = users,
                          .items = items});
  };
  update(own, device_gradients_.data(), rows_.users(context, own.rows), {});
  take_records(context, args.rows);
  const auto records = std::ssize(record_triples_);
  const auto record_triples = Tensor<Triple>::from(context, 1, records, record_triples_);
  const auto record_gradients = Tensor<ItemGradients>::from(context, 1, records, record_gradients_);
  MfArgs of_items = args;
  of_items.users = {};
  of_items.users.weights = user_rows.data();
  of_items.triples = record_triples.data();
  of_items.rows = records;
  update(of_items, record_gradients.data(), {}, rows_.items(context, records * slots_));
  send_sums(context, args, triples);
}

Tensor<float> ShardedMfBatch::send_records(const Context& context, const Matrix<const float>& users) {
  const std::size_t n = triples_.size();
  gradients_.resize(n);
  if (n != 0) copy_to_host(context, gradients_.data(), device_gradients_.data(), n * sizeof(ItemGradients));
  for (std::vector<Record>& each : records_) each.clear();
  for (std::vector<Id>& each : record_users_) each.clear();
  for (std::size_t k = 0; k < n; ++k) {
    const ItemGradients& all = gradients_[k];
    for (int m = 0; m < slots_; ++m) {
      if (all.item[m] == 0) continue;
      const int owner = request_.owner(all.item[m]);
      std::vector<Record>& records = records_[static_cast<std::size_t>(owner)];
      if (records.empty() || records.back().row != numbers_[k]) {
        records.push_back({numbers_[k], {}});
        record_users_[static_cast<std::size_t>(owner)].push_back(triple_places_[k].user);
      }
      records.back().gradients.item[m] = request_.place(all.item[m]);
      records.back().gradients.factor[m] = all.factor[m];
    }
  }
  std::vector<Record> sent;
  std::vector<Id> places;
  std::vector<std::int64_t> counts;
  for (std::size_t r = 0; r < records_.size(); ++r) {
    sent.insert(sent.end(), records_[r].begin(), records_[r].end());
    places.insert(places.end(), record_users_[r].begin(), record_users_[r].end());
    counts.push_back(std::ssize(records_[r]));
  }
  exchange(context.ranks(), std::span<const Record>(sent), counts, received_);
  const Tensor<float> rows = gather_rows(context, users, places);
  Tensor<float> received(context, std::ssize(received_.values), width_);
  all_to_all_v_on_device(context, rows.data(), bytes_of_rows(counts, width_), received.data(),
                         bytes_of_rows(received_.counts, width_));
  return received;
}

void ShardedMfBatch::take_records(const Context& context, std::int64_t batch_rows) {
  record_of_.assign(static_cast<std::size_t>(batch_rows), -1);
  for (std::size_t at = 0; at < received_.values.size(); ++at)
    record_of_[static_cast<std::size_t>(received_.values[at].row)] = static_cast<std::int32_t>(at);
  record_triples_.clear();
  record_gradients_.clear();
  record_keys_.clear();
  for (const std::int32_t at : record_of_) {
    if (at < 0) continue;
    const ItemGradients& gradients = received_.values[static_cast<std::size_t>(at)].gradients;
    record_triples_.push_back({at, 0, 0});
    record_gradients_.push_back(gradients);
    for (int slot = 0; slot < slots_; ++slot)
      record_keys_.push_back(gradients.item[slot] != 0 ? gradients.item[slot]
                                                       : static_cast<Id>(rows_.item_rows()));
  }
  to_device(context, rows_.item_keys(), record_keys_);
}

void ShardedMfBatch::send_sums(const Context& context, const MfArgs& args, std::span<const Triple> triples) {
  const bool cpu = context.device() == Device::cpu;
  const auto stride = std::size_t{GateColumns::stride};
  const std::size_t own = numbers_.size(), floats = static_cast<std::size_t>(args.rows) * stride;
  if (!cpu) {
    sums_.resize(floats);
    if (own != 0) copy_to_host(context, sums_.data(), args.gate.slots, own * stride * sizeof(float));
  }
  float* slots = cpu ? args.gate.slots : sums_.data();
  std::vector<float> packed;
  for (std::size_t k = 0; k < own; ++k) {
    for_columns(pair_of_[k] >= 0, gate_params_, [&](int first, int count) {
      float* from = slots + k * stride + static_cast<std::size_t>(first);
      packed.insert(packed.end(), from, from + count);
      std::fill_n(from, count, 0.0F);
    });
  }
  std::vector<std::int64_t> counts(static_cast<std::size_t>(shard_.ranks));
  counts[0] = std::ssize(packed);
  exchange(context.ranks(), std::span<const float>(packed), counts, packed_);
  if (shard_.rank == 0) {
    std::vector<const float*> next;
    const float* begin = packed_.values.data();
    for (const std::int64_t count : packed_.counts) {
      next.push_back(begin);
      begin += count;
    }
    if (!cpu) std::ranges::fill(sums_, 0.0F);
    for (std::int64_t k = 0; k < args.rows; ++k) {
      const float*& from =
          next[static_cast<std::size_t>(shard_.owner(triples[static_cast<std::size_t>(k)].user))];
      const bool with_pairs =
          args.pairs != nullptr && args.pair_rate.selects(static_cast<std::uint64_t>(args.first_row + k));
      for_columns(with_pairs, gate_params_, [&](int first, int count) {
        std::copy_n(from, count,
                    slots + static_cast<std::size_t>(k) * stride + static_cast<std::size_t>(first));
        from += count;
      });
    }
  }
  if (cpu) return;
  if (shard_.rank == 0) {
    copy_to_device(context, args.gate.slots, slots, floats * sizeof(float));
  } else {
    fill_zero(context, args.gate.slots, floats * sizeof(float));
  }
}

double sharded_step_bytes(int ranks, std::int64_t batch_rows, int width, double pair_rate, int gate_params) {
  const double all = ranks, others = all - 1, row = 4.0 * width;
  // Of m items with a gradient, owners other than this rank.
  const auto owners = [&](double m) { return others * (1 - std::pow(1 - 1 / all, m)); };
  constexpr double kBase = 2, kPair = 2, kHeader = sizeof(std::int32_t) + sizeof(ItemGradients), kNumber = 4;
  const double asked = (kBase + kPair * pair_rate) * others / all * (kNumber + row);
  const double records =
      ((1 - pair_rate) * owners(kBase) + pair_rate * owners(kBase + kPair)) * (kHeader + row);
  const double gate_sums = gate_params + GateColumns::used - GateColumns::bucket;
  const double sums = others / all * kNumber * ((1 - pair_rate) * 2 + pair_rate * gate_sums);
  const double once = others * (3 * 8.0 + (kNumber * (gate_params + 2) + 8.0 * GateColumns::used) / all);
  return static_cast<double>(batch_rows) / all * (asked + records + sums) + once;
}

}  // namespace sllmr
