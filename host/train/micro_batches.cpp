#include "host/train/micro_batches.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "kernels/exec/communicator.h"
#include "kernels/exec/device_exchange.h"
#include "kernels/sharded_rows.h"
#include "kernels/tree_sums.h"

namespace sllmr {

namespace {

// The dense gradients are summed in rows of so many numbers, which threads share.
constexpr std::int64_t kChunk = 256;

/// index[k][p] = p * n + k for the parts that are there, else -1.
std::vector<std::int32_t> stacked(std::int64_t n, int parts, int present) {
  std::vector<std::int32_t> index(size_product(n, parts), -1);
  for (std::int64_t k = 0; k < n; ++k) {
    for (int p = 0; p < present; ++p)
      index[static_cast<std::size_t>(k * parts + p)] = static_cast<std::int32_t>(p * n + k);
  }
  return index;
}

template <class T>
Tensor<T> on_device_of(const Context& context, const std::vector<T>& values) {
  return Tensor<T>::from(context, 1, std::ssize(values), values);
}

}  // namespace

int micro_batches_of(std::int64_t rows, int most) {
  const std::int64_t filled = std::max<std::int64_t>(1, std::min<std::int64_t>(most, rows / 2));
  return static_cast<int>(std::bit_floor(static_cast<std::uint64_t>(filled)));
}

MicroBatchRows rows_of_micro_batch(std::int64_t rows, int parts, int part) {
  const auto begin_of = [&](int k) { return k == parts ? rows : rows / 2 * k / parts * 2; };
  return {begin_of(part), begin_of(part + 1)};
}

std::int64_t most_micro_batch_rows(std::int64_t rows, int most) {
  // Of a batch that fills fewer, each has less than twice two rows, and the last an odd one.
  return std::max<std::int64_t>((rows / 2 + most - 1) / most * 2 + 1, 5);
}

float* MicroBatchSums::Rows::add(const Context& context, std::span<const Id> more, int of_part) {
  const std::size_t before = keys.size(), columns = static_cast<std::size_t>(width);
  keys.insert(keys.end(), more.begin(), more.end());
  part.insert(part.end(), more.size(), of_part);
  if (gradients.size() < keys.size() * columns) {
    Buffer<float> larger(context, 2 * keys.size() * columns);
    if (before != 0)
      copy_on_device(context, larger.data(), gradients.data(), before * columns * sizeof(float));
    context.synchronize();
    gradients = std::move(larger);
  }
  return gradients.data() + before * columns;
}

MicroBatchSums::MicroBatchSums(const Context& context, Backbone<float>& backbone, Adam<float>& adam,
                               int micro_batches)
    : context_(context),
      backbone_(backbone),
      adam_(adam),
      own_(micro_batches / context.ranks().size()),
      rank_(context.ranks().rank()) {
  require_tree_parts(micro_batches, "train.micro_batches");
  require(own_ * context.ranks().size() == micro_batches,
          "train.micro_batches=" + std::to_string(micro_batches) + " cannot be shared by " +
              std::to_string(context.ranks().size()) +
              " ranks: start 1, 2, 4, ... of them, at most one a micro-batch");
  const auto numbers = static_cast<std::int64_t>(backbone.parameters().gradients().size() +
                                                 backbone.parameters().state().size());
  chunks_ = (numbers + kChunk - 1) / kChunk;
  dense_ = Buffer<float>(context, size_product(own_, chunks_, kChunk));
  sums_ = Buffer<float>(context, size_product(chunks_, kChunk));
  state_ = Buffer<float>(context, backbone.parameters().state().size());
  for (const Embedding<float>* embedding : backbone.embeddings()) {
    for (const auto& table : embedding->tables()) {
      for (auto* all : {&tables_, &from_ranks_}) {
        Rows& rows = all->emplace_back();
        rows.width = embedding->width();
        rows.shard = table.shard;
      }
    }
  }
}

void MicroBatchSums::start() {
  for (Rows& each : tables_) each.clear();
  Buffer<float>& state = backbone_.parameters().state();
  if (state.size() != 0) copy_on_device(context_, state_.data(), state.data(), state.size() * sizeof(float));
}

void MicroBatchSums::add(int number, const FeatureBatch& batch, const FeatureBatch& host) {
  const int part = number % own_;
  Parameters<float>& parameters = backbone_.parameters();
  const std::size_t n = parameters.gradients().size(), states = parameters.state().size();
  float* dense = dense_.data() + part * chunks_ * kChunk;
  if (n != 0) copy_on_device(context_, dense, parameters.gradients().data(), n * sizeof(float));
  if (states != 0) {
    copy_on_device(context_, dense + n, parameters.state().data(), states * sizeof(float));
    copy_on_device(context_, parameters.state().data(), state_.data(), states * sizeof(float));
  }

  std::size_t t = 0;
  for (Embedding<float>* embedding : backbone_.embeddings()) {
    AdamRowGradients<float> args{};
    for (std::size_t f = 0; f < static_cast<std::size_t>(kFields); ++f) {
      const Tensor<float>& gradient = embedding->gradient(static_cast<Field>(f));
      if (gradient.size() != 0)
        args.gradients[f] = {gradient.data(), gradient.stride(), batch.fields[f].length};
    }
    for (const auto& table : embedding->tables()) {
      const TablePlan& plan = host.plans[static_cast<std::size_t>(table.vocabulary)];
      // Rows without a gradient take no step of lazy Adam, and need not be sent.
      std::vector<std::int32_t> rows;
      std::vector<Id> keys;
      for (std::int64_t k = 0; k < plan.n; ++k) {
        const auto has_gradient = [&](std::int8_t field) { return args.gradients[field].data != nullptr; };
        if (std::none_of(plan.field + plan.offsets[k], plan.field + plan.offsets[k + 1], has_gradient))
          continue;
        rows.push_back(static_cast<std::int32_t>(k));
        keys.push_back(plan.keys[k]);
      }
      const TablePlan& on_device = batch.plans[static_cast<std::size_t>(table.vocabulary)];
      args.table = {.width = embedding->width(),
                    .n = on_device.n,
                    .keys = on_device.keys,
                    .offsets = on_device.offsets,
                    .field = on_device.field,
                    .row = on_device.row};
      args.table.weights =
          const_cast<float*>(table.weights.data());  // only read, where an occurrence has none
      const Tensor<std::int32_t> device_rows = on_device_of(context_, rows);
      args.rows = device_rows.data();
      args.out = {tables_[t].add(context_, keys, part), std::ssize(keys), embedding->width()};
      run(context_, args);
      ++t;
    }
    embedding->clear_gradients();
  }
}

MicroBatchSums::Summed MicroBatchSums::sum(const Rows& rows, int parts) const {
  // Entries by key: which part each is of says its place.
  std::vector<std::uint64_t> order(rows.keys.size());
  for (std::size_t k = 0; k < order.size(); ++k)
    order[k] = std::uint64_t{static_cast<std::uint32_t>(rows.keys[k])} << 32 | k;
  std::ranges::sort(order);
  Summed out;
  std::vector<std::int32_t> index;
  for (const std::uint64_t entry : order) {
    const auto key = static_cast<Id>(entry >> 32);
    const auto at = static_cast<std::uint32_t>(entry);
    if (out.keys.empty() || out.keys.back() != key) {
      out.keys.push_back(key);
      index.resize(index.size() + static_cast<std::size_t>(parts), -1);
    }
    index[index.size() - static_cast<std::size_t>(parts - rows.part[at])] = static_cast<std::int32_t>(at);
  }
  const auto n = std::ssize(out.keys);
  out.gradients = Tensor<float>(context_, n, rows.width);
  const Tensor<std::int32_t> device_index = on_device_of(context_, index);
  run(context_, TreeSums<float>{.n = n,
                                .parts = parts,
                                .index = device_index.data(),
                                .from = {rows.gradients.data(), std::ssize(rows.keys), rows.width},
                                .out = out.gradients});
  out.device_keys = on_device_of(context_, out.keys);
  return out;
}

MicroBatchSums::Summed MicroBatchSums::sum_by_owners(std::size_t t, const Summed& mine) {
  Rows& received = from_ranks_[t];
  const RowShard& shard = received.shard;
  std::vector<std::vector<Id>> of_owner(static_cast<std::size_t>(shard.ranks));  // numbers of own sums
  for (std::size_t k = 0; k < mine.keys.size(); ++k)
    of_owner[static_cast<std::size_t>(shard.owner(mine.keys[k]))].push_back(static_cast<Id>(k));
  std::vector<Id> order, places;
  std::vector<std::int64_t> counts;
  for (const std::vector<Id>& numbers : of_owner) {
    counts.push_back(std::ssize(numbers));
    order.insert(order.end(), numbers.begin(), numbers.end());
    for (const Id k : numbers) places.push_back(shard.place(mine.keys[static_cast<std::size_t>(k)]));
  }
  FromRanks<Id> keys;
  exchange(context_.ranks(), std::span<const Id>(places), counts, keys);
  received.clear();
  std::span<const Id> left = keys.values;
  for (int r = 0; r < shard.ranks; ++r) {
    const auto n = static_cast<std::size_t>(keys.counts[static_cast<std::size_t>(r)]);
    received.add(context_, left.first(n), r);
    left = left.subspan(n);
  }
  const Tensor<float> sent = gather_rows(context_, mine.gradients, order);
  all_to_all_v_on_device(context_, sent.data(), bytes_of_rows(counts, received.width),
                         received.gradients.data(), bytes_of_rows(keys.counts, received.width));
  return sum(received, shard.ranks);
}

std::vector<MicroBatchSums::Summed> MicroBatchSums::sum_over_ranks(std::vector<Summed> mine) {
  std::vector<Summed> of_owners(mine.size());
  for (std::size_t t = 0; t < mine.size(); ++t) {
    if (!tables_[t].shard.is_whole()) of_owners[t] = sum_by_owners(t, std::exchange(mine[t], {}));
  }
  const auto is_whole = [](const Rows& table) { return table.shard.is_whole(); };
  if (std::ranges::none_of(tables_, is_whole)) return of_owners;
  std::vector<Summed> sums = sum_for_all(mine);
  for (std::size_t t = 0; t < sums.size(); ++t) {
    if (!is_whole(tables_[t])) sums[t] = std::move(of_owners[t]);
  }
  return sums;
}

std::vector<MicroBatchSums::Summed> MicroBatchSums::sum_for_all(const std::vector<Summed>& mine) {
  Communicator& ranks = context_.ranks();
  const auto n_ranks = static_cast<std::size_t>(ranks.size());
  const std::size_t n_tables = mine.size();
  // Of every rank how many keys each table has; then the keys, and the gradients, table by table.
  std::vector<std::int64_t> counts(n_tables), all_counts(n_ranks * n_tables), key_bytes(n_ranks),
      gradient_bytes(n_ranks);
  std::vector<Id> keys;
  for (std::size_t t = 0; t < n_tables; ++t) {
    counts[t] = std::ssize(mine[t].keys);
    keys.insert(keys.end(), mine[t].keys.begin(), mine[t].keys.end());
  }
  ranks.all_gather(counts.data(), n_tables * sizeof(std::int64_t), all_counts.data());
  std::int64_t n_keys = 0, n_floats = 0;
  for (std::size_t r = 0; r < n_ranks; ++r) {
    std::int64_t rank_keys = 0, rank_floats = 0;
    for (std::size_t t = 0; t < n_tables; ++t) {
      rank_keys += all_counts[r * n_tables + t];
      rank_floats += all_counts[r * n_tables + t] * tables_[t].width;
    }
    key_bytes[r] = rank_keys * static_cast<std::int64_t>(sizeof(Id));
    gradient_bytes[r] = rank_floats * static_cast<std::int64_t>(sizeof(float));
    n_keys += rank_keys;
    n_floats += rank_floats;
  }
  std::vector<Id> all_keys(static_cast<std::size_t>(n_keys));
  ranks.all_gather_v(keys.data(), key_bytes, all_keys.data());
  const auto own_floats =
      gradient_bytes[static_cast<std::size_t>(rank_)] / static_cast<std::int64_t>(sizeof(float));
  const Tensor<float> own(context_, 1, own_floats), all(context_, 1, n_floats);
  float* to = own.data();
  for (const Summed& each : mine) {
    const auto size = static_cast<std::size_t>(each.gradients.size());
    if (size != 0) copy_on_device(context_, to, each.gradients.data(), size * sizeof(float));
    to += size;
  }
  all_gather_v_on_device(context_, own.data(), gradient_bytes, all.data());

  const Id* key = all_keys.data();
  const float* gradient = all.data();
  for (Rows& each : from_ranks_) each.clear();
  for (std::size_t r = 0; r < n_ranks; ++r) {
    for (std::size_t t = 0; t < n_tables; ++t) {
      const auto n = static_cast<std::size_t>(all_counts[r * n_tables + t]);
      if (n == 0) continue;
      const std::size_t size = n * static_cast<std::size_t>(tables_[t].width);
      copy_on_device(context_, from_ranks_[t].add(context_, {key, n}, static_cast<int>(r)), gradient,
                     size * sizeof(float));
      key += n;
      gradient += size;
    }
  }
  std::vector<Summed> out;
  for (const Rows& each : from_ranks_) out.push_back(sum(each, ranks.size()));
  return out;
}

void MicroBatchSums::sum_stacked(const float* from, std::int64_t n, int parts, int present, float* to) {
  const auto [index, fresh] = stacked_.try_emplace({n, parts, present});
  if (fresh)
    index->second = Buffer<std::int32_t>(context_, std::span<const std::int32_t>(stacked(n, parts, present)));
  run(context_, TreeSums<float>{.n = n,
                                .parts = parts,
                                .index = index->second.data(),
                                .from = {from, n * parts, kChunk},
                                .out = {to, n, kChunk}});
}

void MicroBatchSums::step_dense(int used) {
  Communicator& ranks = context_.ranks();
  Parameters<float>& parameters = backbone_.parameters();
  // Of a rank without a micro-batch nothing counts.
  const auto present_of = [&](int rank) { return std::clamp(used - rank * own_, 0, own_); };
  sum_stacked(dense_.data(), chunks_, own_, present_of(rank_), sums_.data());
  if (ranks.size() > 1) {
    // Each rank adds up its share of the chunks and hands the sum to all.
    const RankShare own = share_of(ranks, rank_, chunks_);
    const std::int64_t chunks = own.end - own.first;
    std::vector<std::int64_t> shares;
    for (int r = 0; r < ranks.size(); ++r) {
      const RankShare share = share_of(ranks, r, chunks_);
      shares.push_back((share.end - share.first) * kChunk * static_cast<std::int64_t>(sizeof(float)));
    }
    const std::vector<std::int64_t> from_each(shares.size(), shares[static_cast<std::size_t>(rank_)]);
    const Tensor<float> parts(context_, ranks.size() * chunks, kChunk), sum(context_, chunks, kChunk);
    all_to_all_v_on_device(context_, sums_.data(), shares, parts.data(), from_each);
    const int present = (used + own_ - 1) / own_;
    sum_stacked(parts.data(), chunks, ranks.size(), present, sum.data());
    all_gather_v_on_device(context_, sum.data(), shares, sums_.data());
  }
  const std::size_t n = parameters.gradients().size(), states = parameters.state().size();
  if (n != 0) copy_on_device(context_, parameters.gradients().data(), sums_.data(), n * sizeof(float));
  if (states != 0) {
    std::vector<float> state(states);
    copy_to_host(context_, state.data(), sums_.data() + n, states * sizeof(float));
    for (float& each : state) each /= static_cast<float>(used);
    copy_to_device(context_, parameters.state().data(), state.data(), states * sizeof(float));
  }
}

void MicroBatchSums::step(int used) {
  step_dense(used);
  std::vector<Summed> sums;
  for (const Rows& each : tables_) sums.push_back(sum(each, own_));
  if (context_.ranks().size() > 1 && !sums.empty()) sums = sum_over_ranks(std::move(sums));
  std::vector<Adam<float>::RowSums> rows;
  for (const Summed& each : sums)
    rows.push_back({std::ssize(each.keys), each.device_keys.data(), each.gradients.data()});
  adam_.step_rows(context_, rows);
}

}  // namespace sllmr
