// Embedding tables and the pooled look-up of fields.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/exec/row_shard.h"
#include "kernels/exec/tensor.h"
#include "models/features.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// How tables start: N(0, 1) with row 0 zero, N(0, 2 / (rows + width)) in every row (variance), or N(0,
/// std^2) with row 0 zero.
struct EmbeddingInitial {
  enum class Kind { standard_normal, xavier, normal };
  Kind kind = Kind::standard_normal;
  double deviation = 0.01;  // of Kind::normal
};

/// The tables of the vocabularies that `fields` need, all of one width. A bag's vector is the mean of its
/// rows; that of an empty bag is zero. Row 0 gets no gradient from the data.
template <class Real>
class Embedding {
 public:
  struct Table {
    std::string name;  // "embedding.user"
    Vocabulary vocabulary;
    Id rows;               // of all shards
    Buffer<Real> weights;  // [own_rows() x width]
    RowShard shard = {};
    /// Of a table that is not whole: rows that somebody has fetched for the batch at hand, [1 + their number
    /// x width], the padding first. Look-ups read these, by FeatureBatch::staged.
    Tensor<Real> staged = {};

    Id own_rows() const { return shard.rows_of(rows); }
  };

  /// `rows`: of each vocabulary, padding included, of which `shards` says what is kept here. Initial values
  /// depend on seed, name and position alone.
  Embedding(const Context& context, const std::string& prefix, int width, std::span<const Field> fields,
            const std::array<Id, kVocabularies>& rows, const EmbeddingInitial& initial, std::uint64_t seed,
            const std::array<RowShard, kVocabularies>& shards = {});

  int width() const { return width_; }
  std::vector<Table>& tables() { return tables_; }
  const std::vector<Table>& tables() const { return tables_; }
  /// Null where none of the fields needs the vocabulary.
  Table* table(Vocabulary vocabulary);
  const Table* table(Vocabulary vocabulary) const;

  /// Means of the bags of `field`: [batch.bags(field) x width], written to `out`, which may be a slice of
  /// columns.
  void lookup(const Context& context, const FeatureBatch& batch, Field field, const Tensor<Real>& out) const;
  /// The fields one beside the other, [batch.all_rows() x fields * width], in the order given to the
  /// constructor. Not for histories of a sequence batch.
  Tensor<Real> forward(const Context& context, const FeatureBatch& batch) const;
  /// The same to `out`, which may be a slice of columns.
  void forward_to(const Context& context, const FeatureBatch& batch, const Tensor<Real>& out) const;

  /// Hands over the gradient of a field's vectors, [bags x width], possibly a slice of columns; it is kept
  /// until the optimiser has used it.
  void set_gradient(Field field, const Tensor<Real>& d_out);
  /// The same for all fields at once: d_out [batch.all_rows() x fields * width].
  void backward(const Tensor<Real>& d_out);
  const Tensor<Real>& gradient(Field field) const { return gradients_[static_cast<std::size_t>(field)]; }
  void clear_gradients();

 private:
  int width_;
  std::vector<Field> fields_;
  std::vector<Table> tables_;
  std::array<Tensor<Real>, kFields> gradients_;
};

extern template class Embedding<float>;
extern template class Embedding<double>;

}  // namespace sllmr
