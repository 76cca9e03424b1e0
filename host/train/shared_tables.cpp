#include "host/train/shared_tables.h"

#include <algorithm>
#include <vector>

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
    if (bytes > 1e6 * static_cast<double>(config.train.shard_above)) shards[v] = {ranks.rank(), ranks.size()};
  }
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
    places.erase(std::ranges::unique(places).begin(), places.end());
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

void SharedTables::release() {
  for (int v = 0; v < kVocabularies; ++v)
    for_each_table(static_cast<Vocabulary>(v), [](const auto&, auto& table) { table.staged = {}; });
}

}  // namespace sllmr
