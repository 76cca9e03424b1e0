// The contract of every backbone: features in, one logit a row out, and backward.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/choices.h"
#include "kernels/exec/tensor.h"
#include "kernels/interaction_index.h"
#include "models/extra/extra_vector.h"
#include "models/features.h"
#include "models/layers/embedding/embedding.h"
#include "models/layers/parameters.h"
#include "models/row_vectors.h"

namespace sllmr {

/// What a backbone is made of. Defaults are LLM-CF's sizes. A backbone uses what it has a use for.
struct BackboneOptions {
  int width = 32;                       // of every embedding
  std::optional<double> embedding_std;  // of the fields' initial embeddings; none: as the paper's code
  std::vector<int> hidden = {200, 80};  // of the deep part
  double dropout = 0.1;
  std::vector<int> cin_sizes = {100, 100, 100};        // xDeepFM: feature maps of each layer
  int attention_width = 64, attention_heads = 2;       // AutoInt
  std::array<int, 2> din_attention_hidden = {64, 16};  // DIN: layers below the output of its attention unit
  CrossKind cross = CrossKind::mixture;                // DCNv2
  std::uint64_t seed = 1;
  std::array<Id, kVocabularies> table_rows{};     // with padding
  std::array<RowShard, kVocabularies> shards{};   // which of them this rank keeps
  std::vector<Interaction> interactions;          // LightGCN: its graph; of training alone
  std::shared_ptr<const ExtraVectorMaker> extra;  // null: none
  /// LLM-CF's quirks: the first-order bias of DeepFM and xDeepFM is drawn once and never trained ...
  bool frozen_bias = false;
  /// ... and the deep scalar of xDeepFM passes a ReLU.
  bool relu_deep_logit = false;

  /// How the fields' embeddings start, which do so as `usual` in the paper's code.
  EmbeddingInitial initial(const EmbeddingInitial& usual) const {
    return embedding_std ? EmbeddingInitial{EmbeddingInitial::Kind::normal, *embedding_std} : usual;
  }
};

/// Owns its parameters and embedding tables.
template <class Real>
class Backbone {
 public:
  /// What forward keeps for backward.
  struct Saved {
    virtual ~Saved() = default;
  };

  /// What ranking keeps of the items: the part of the network that sees them alone.
  struct Catalogue {
    virtual ~Catalogue() = default;
  };

  virtual ~Backbone() = default;

  /// Does forward want the history item by item (FeatureBatch::sequence), not pooled?
  virtual bool wants_sequence() const { return false; }
  /// Logits [rows x 1]. `saved`, when not null, gets what backward needs. A training pass draws dropout masks
  /// and updates running statistics; one of Monte Carlo dropout draws masks alone.
  virtual Tensor<Real> forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
                               std::unique_ptr<Saved>* saved) const = 0;
  /// What forward has looked up for the rows' users and items: the embeddings' rows or, of a backbone that
  /// propagates them, what came of it. Only to be read. Without elements where a backbone has none.
  virtual RowVectors<Real> vectors(const Saved& /*saved*/) const { return {}; }
  /// Replaces the gradients of all parameters by those of sum(d_logits * logits), d_logits [rows x 1], and
  /// hands those of the looked-up rows to the embeddings. `batch` and `saved` are forward's. A loss that acts
  /// on vectors(saved), too, has the sum of d_vectors * vectors added; where a side has no elements, nothing.
  virtual void backward(const Context& context, const FeatureBatch& batch, const Saved& saved,
                        const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) = 0;
  void backward(const Context& context, const FeatureBatch& batch, const Saved& saved,
                const Tensor<Real>& d_logits) {
    backward(context, batch, saved, d_logits, {});
  }

  /// What evaluation keeps of a pool of examples: ExtraVector::of_examples of rows `first` and following of
  /// the pool, which `batch` consists of. Holds as a catalogue does. Without elements where there is nothing.
  virtual Tensor<Real> of_examples(const Context&, const FeatureBatch& /*batch*/,
                                   std::int64_t /*first*/) const {
    return {};
  }
  /// For ranking many users against the same items: the items' side of the network, computed once. `items`
  /// has one row an item and Side::item of the fields. It holds while the parameters stay as they are and the
  /// context lives. Null, as here, where a backbone has no such short cut: it then ranks by forward.
  virtual std::unique_ptr<Catalogue> catalogue(const Context&, const FeatureBatch& /*items*/) const {
    return nullptr;
  }
  /// Logits [users x items of the catalogue]: those of forward without training, up to rounding. `users` has
  /// one row a user and Side::user of the fields. Only for a backbone that makes catalogues; threads may
  /// share one.
  virtual Tensor<Real> rank(const Context&, const Catalogue&, const FeatureBatch& /*users*/) const {
    throw Error("Backbone::rank: this backbone makes no catalogue");
  }

  Parameters<Real>& parameters() { return parameters_; }
  const Parameters<Real>& parameters() const { return parameters_; }

  /// All sets of tables, the features' and the first-order ones; none where all parameters are dense.
  virtual std::vector<Embedding<Real>*> embeddings() = 0;

 protected:
  Parameters<Real> parameters_;
};

}  // namespace sllmr
