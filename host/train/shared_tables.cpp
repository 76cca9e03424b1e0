#include "host/train/shared_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "kernels/exec/context.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

namespace {

/// Of a row of so many numbers, with Adam's moments and count of steps.
double bytes_of_row(int width) {
  return 3 * 4.0 * width + 4;
}

}  // namespace

std::array<RowShard, kVocabularies> table_shards(const Config& config, const Communicator& ranks,
                                                 const std::array<Id, kVocabularies>& rows) {
  std::array<RowShard, kVocabularies> shards;
  for (std::size_t v = 0; v < shards.size(); ++v) {
    const double bytes = rows[v] * bytes_of_row(config.model.width);
    if (bytes > 1e6 * config.train.shard_above) shards[v] = {ranks.rank(), ranks.size()};
  }
  const Id items = rows[static_cast<std::size_t>(Vocabulary::item)] - 1;
  const bool whole = std::ranges::all_of(shards, &RowShard::is_whole);
  require(whole || items >= ranks.size(),  // who rank their own items
          fmt::format("there are {} items for {} ranks: start fewer", items, ranks.size()));
  return shards;
}

template <class Function>
void SharedTables::for_each_table(Vocabulary vocabulary, const Function& function) const {
  for (Embedding<float>* embedding : backbone_.embeddings()) {
    for (auto& table : embedding->tables()) {
      if (table.vocabulary == vocabulary && !table.shard.is_whole()) function(*embedding, table);
    }
  }
}

std::array<bool, kVocabularies> SharedTables::vocabularies() const {
  std::array<bool, kVocabularies> shared{};
  for (std::size_t v = 0; v < shared.size(); ++v)
    for_each_table(static_cast<Vocabulary>(v), [&](const auto&, const auto&) { shared[v] = true; });
  return shared;
}

bool SharedTables::any() const {
  return std::ranges::any_of(vocabularies(), [](bool shared) { return shared; });
}

void SharedTables::plan(std::span<FeatureBatcher* const> batches, RowRequests& requests) const {
  const auto shared = vocabularies();
  std::vector<Id> ids, numbers;
  for (std::size_t v = 0; v < shared.size(); ++v) {
    if (!shared[v]) continue;
    const auto vocabulary = static_cast<Vocabulary>(v);
    ids.clear();
    for (const FeatureBatcher* batch : batches) {
      const std::span<const Id> wanted = batch->wanted(vocabulary);
      ids.insert(ids.end(), wanted.begin(), wanted.end());
    }
    requests[v].plan(shard(), ids);
    std::size_t at = 0;
    for (FeatureBatcher* batch : batches) {
      numbers.resize(batch->wanted(vocabulary).size());
      for (Id& number : numbers) number = requests[v].number(at++);
      batch->number_rows(vocabulary, numbers);
    }
  }
}

void SharedTables::stage(RowRequests& requests) {
  const auto shared = vocabularies();
  for (std::size_t v = 0; v < shared.size(); ++v) {
    if (!shared[v]) continue;
    const auto vocabulary = static_cast<Vocabulary>(v);
    const std::span<const Id> asked = requests[v].ask(context_);
    std::vector<Id> places{0};  // the padding, which brands look up
    places.insert(places.end(), asked.begin(), asked.end());
    std::ranges::sort(places);
    places.erase(std::unique(places.begin(), places.end()), places.end());
    const auto n = std::ssize(places);
    const auto keys = Tensor<Id>::from(context_, 1, n, places);
    adam_.bring_up(context_, vocabulary, n, keys.data());
    for_each_table(vocabulary, [&](const auto& embedding, auto& table) {
      table.staged = {};  // its memory serves the next
      table.staged = requests[v].fetch(context_, {table.weights.data(), table.own_rows(), embedding.width()});
      copy_on_device(context_, table.staged.data(), table.weights.data(),
                     static_cast<std::size_t>(embedding.width()) * sizeof(float));
    });
  }
}

void SharedTables::fetch(std::span<FeatureBatcher* const> batches) {
  RowRequests requests;
  plan(batches, requests);
  stage(requests);
}

std::string SharedTables::remark(const FeatureStore& features, std::span<const CtrRow> rows,
                                 std::int64_t batch) const {
  double bytes = 0;
  for (const Embedding<float>* embedding : backbone_.embeddings()) {
    for (const auto& table : embedding->tables()) bytes += table.rows * bytes_of_row(embedding->width());
  }
  const std::vector<DeviceInfo> devices = list_devices();
  const double memory =
      std::ranges::find(devices, context_.device(), &DeviceInfo::device)->memory_gib * 0x1p30;
  if (bytes > memory / 2) return {};

  // Training rows from all over the epoch, as many as a rank has of a batch, look up about what these do.
  const int ranks = context_.ranks().size();
  const std::int64_t n = std::max<std::int64_t>(1, batch / ranks), stride = std::ssize(rows) / n;
  std::vector<FeatureRow> sample;
  for (std::int64_t k = 0; k < n; ++k) {
    const CtrRow& row = rows[static_cast<std::size_t>(k * stride)];
    sample.push_back({row.user, row.item, row.position});
  }
  FeatureBatcher batcher(context_, features, {.max_rows = n, .examples = false, .staged = vocabularies()});
  batcher.assemble(sample);
  double sent = 0, sent_by_whole = 0;
  for (int v = 0; v < kVocabularies; ++v) {
    const auto vocabulary = static_cast<Vocabulary>(v);
    std::vector<int> widths;
    for_each_table(vocabulary,
                   [&](const auto& embedding, const auto&) { widths.push_back(embedding.width()); });
    if (widths.empty()) continue;
    const auto looked_up = static_cast<double>(batcher.wanted(vocabulary).size());
    sent += shared_step_bytes(ranks, looked_up, widths);
    for (const int width : widths) sent_by_whole += (ranks - 1) * looked_up * (4.0 * width + sizeof(Id));
  }
  return fmt::format(
      "{} ranks shard tables of embeddings of {:.1f} MB, which the {:.0f} GB of one device would hold: each "
      "sends some {:.2f} MB for their rows in a step of {} training rows, and waits for them before it "
      "computes; with whole tables (train.shard_above) it would send some {:.2f} MB and not wait "
      "(docs/clusters.md)",
      ranks, bytes / 1e6, memory / 1e9, sent / 1e6, batch, sent_by_whole / 1e6);
}

double shared_step_bytes(int ranks, double rows, std::span<const int> widths) {
  const double others = ranks - 1;
  double of_row = sizeof(Id), once = sizeof(std::int64_t);
  for (const int width : widths) {
    of_row += 2 * 4.0 * width + sizeof(Id);
    once += sizeof(std::int64_t);
  }
  return rows * of_row * others / ranks + others * once;
}

void SharedTables::release() {
  for (int v = 0; v < kVocabularies; ++v)
    for_each_table(static_cast<Vocabulary>(v), [](const auto&, auto& table) { table.staged = {}; });
}

}  // namespace sllmr
