#include "models/layers/embedding/embedding.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "kernels/exec/fnv.h"
#include "models/layers/embedding/kernels.h"

namespace sllmr {

namespace {

constexpr std::string_view kVocabularyNames[kVocabularies] = {"user", "item", "brand", "category"};
constexpr std::string_view kFieldNames[kFields] = {
    "user", "item", "brand", "categories", "history items", "history brands", "history categories"};

/// Tables and the parameter slab share seed and purpose; what tells a table's draws apart is a hash of its
/// name, never the slab's 0.
std::uint32_t stream_of(const std::string& name) {
  Fnv<std::uint32_t> hash;
  hash.add_bytes(name);
  return hash.value() | 1U;
}

template <class Real>
std::vector<Real> draw_table(const Context& context, const std::string& name, Id rows, int width,
                             const RowShard& shard, const EmbeddingInitial& initial, std::uint64_t seed) {
  const bool xavier = initial.kind == EmbeddingInitial::Kind::xavier;
  const double deviation = xavier ? std::sqrt(2.0 / (static_cast<double>(rows) + width))
                           : initial.kind == EmbeddingInitial::Kind::normal ? initial.deviation
                                                                            : 1.0;
  const InitialDraws draws{seed, Purpose::init_layer, stream_of(name)};
  const Initial from = Initial::normal(deviation);
  std::vector<Real> values(size_product(shard.rows_of(rows), width));
  draw_initial_rows(context, from, draws, width, shard, std::span(values));
  if (xavier) draw_initial(context, from, draws, 0, std::span(values).first(static_cast<std::size_t>(width)));
  return values;
}

std::string name_of(Field field) {
  return std::string(kFieldNames[static_cast<std::size_t>(field)]);
}

template <class Real>
BagField<Real> bag_field(const typename Embedding<Real>::Table& table, const FeatureBatch& batch, Field field,
                         const Tensor<Real>& out) {
  const bool whole = table.shard.is_whole();
  const Bags& bags = (whole ? batch.fields : batch.staged)[static_cast<std::size_t>(field)];
  if (!whole && (bags.ids == nullptr || table.staged.rows() == 0))
    throw Error("Embedding: the rows of '" + table.name + "' are on several ranks, and were not fetched");
  return {.table = whole ? Matrix<const Real>(table.weights.data(), table.rows, out.cols())
                         : Matrix<const Real>(table.staged),
          .ids = bags.ids,
          .begin = bags.begin,
          .length = bags.length,
          .out = out};
}

}  // namespace

template <class Real>
Embedding<Real>::Embedding(const Context& context, const std::string& prefix, int width,
                           std::span<const Field> fields, const std::array<Id, kVocabularies>& rows,
                           const EmbeddingInitial& initial, std::uint64_t seed,
                           const std::array<RowShard, kVocabularies>& shards)
    : width_(width), fields_(fields.begin(), fields.end()) {
  require(width >= 1,
          "the width of '" + prefix + "' is " + std::to_string(width) + "; it must be at least 1");
  require(!fields_.empty() && fields_.size() <= static_cast<std::size_t>(BagMeans<Real>::kMaxFields),
          "'" + prefix + "' needs between 1 and " + std::to_string(BagMeans<Real>::kMaxFields) + " fields");
  require(std::isfinite(initial.deviation) && initial.deviation >= 0,
          "the initial deviation of '" + prefix + "' must be a number of at least 0");
  for (int v = 0; v < kVocabularies; ++v) {
    const auto vocabulary = static_cast<Vocabulary>(v);
    const bool needed =
        std::ranges::any_of(fields_, [&](Field field) { return vocabulary_of(field) == vocabulary; });
    if (!needed) continue;
    const auto at = static_cast<std::size_t>(v);
    const std::string name = prefix + "." + std::string(kVocabularyNames[at]);
    require(rows[at] >= 1, "'" + name + "' has no rows; a table has at least the row of the padding");
    const std::vector<Real> values =
        draw_table<Real>(context, name, rows[at], width, shards[at], initial, seed);
    tables_.push_back(
        {name, vocabulary, rows[at], Buffer<Real>(context, std::span<const Real>(values)), shards[at]});
  }
}

template <class Real>
typename Embedding<Real>::Table* Embedding<Real>::table(Vocabulary vocabulary) {
  const auto found = std::ranges::find(tables_, vocabulary, &Table::vocabulary);
  return found == tables_.end() ? nullptr : &*found;
}

template <class Real>
const typename Embedding<Real>::Table* Embedding<Real>::table(Vocabulary vocabulary) const {
  return const_cast<Embedding*>(this)->table(vocabulary);
}

template <class Real>
void Embedding<Real>::lookup(const Context& context, const FeatureBatch& batch, Field field,
                             const Tensor<Real>& out) const {
  const Table* from = table(vocabulary_of(field));
  require(from != nullptr, "Embedding::lookup: no table for the field '" + name_of(field) + "'");
  require(out.rows() == batch.bags(field) && out.cols() == width_,
          "Embedding::lookup: the result of '" + name_of(field) + "' must be [bags x width]");
  const BagField<Real> looked_up = bag_field<Real>(*from, batch, field, out);
  run(context, BagMeans<Real>{.n_fields = 1, .fields = {looked_up}});
}

template <class Real>
Tensor<Real> Embedding<Real>::forward(const Context& context, const FeatureBatch& batch) const {
  Tensor<Real> out(context, batch.all_rows(), static_cast<std::int64_t>(fields_.size()) * width_);
  forward_to(context, batch, out);
  return out;
}

template <class Real>
void Embedding<Real>::forward_to(const Context& context, const FeatureBatch& batch,
                                 const Tensor<Real>& out) const {
  require(out.rows() == batch.all_rows() && out.cols() == static_cast<std::int64_t>(fields_.size()) * width_,
          "Embedding::forward_to: the result must be [rows x fields * width]");
  BagMeans<Real> lookup;
  for (const Field field : fields_) {
    require(!batch.sequence || !is_history(field),
            "Embedding::forward: the histories of a sequence batch have a bag for each position; use lookup");
    lookup.fields[lookup.n_fields] =
        bag_field<Real>(*table(vocabulary_of(field)), batch, field,
                        out.columns(static_cast<std::int64_t>(lookup.n_fields) * width_, width_));
    ++lookup.n_fields;
  }
  run(context, lookup);
}

template <class Real>
void Embedding<Real>::set_gradient(Field field, const Tensor<Real>& d_out) {
  require(std::ranges::find(fields_, field) != fields_.end(),
          "Embedding::set_gradient: the field '" + name_of(field) + "' is not looked up here");
  require(d_out.cols() == width_, "Embedding::set_gradient: the gradient of '" + name_of(field) +
                                      "' must be as wide as the embedding");
  gradients_[static_cast<std::size_t>(field)] = d_out;
}

template <class Real>
void Embedding<Real>::backward(const Tensor<Real>& d_out) {
  require(d_out.cols() == static_cast<std::int64_t>(fields_.size()) * width_,
          "Embedding::backward: the gradient must be [rows x fields * width]");
  for (std::size_t k = 0; k < fields_.size(); ++k) {
    set_gradient(fields_[k], d_out.columns(static_cast<std::int64_t>(k) * width_, width_));
  }
}

template <class Real>
void Embedding<Real>::clear_gradients() {
  gradients_.fill({});
}

template class Embedding<float>;
template class Embedding<double>;

}  // namespace sllmr
