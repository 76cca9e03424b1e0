// LLM-CF's in-context vector (Sun et al., CIKM 2024): what a transformer makes of the row and of alike,
// labelled rows of training.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/extra/extra_vector.h"
#include "models/layers/frozen_vectors/frozen_vectors.h"
#include "models/layers/linear_mlp.h"
#include "models/layers/transformer/transformer.h"

namespace sllmr {

struct InContextOptions {
  ItemVectors vectors;
  int examples = 4;                 // of a row
  std::vector<std::int8_t> labels;  // of the examples' pool, 0 or 1
  ItemVectors chains;  // of the pool, row k of example k: texts that argue for its label; or none
  std::vector<int> text_hidden = {256}, joint_hidden = {128}, reconstruction_hidden = {256};
  double reconstruction = 1;  // weight of the loss below
};

/// x, of a row or an example, is H([fields; M(the item's text vector); M(the mean of the history's)]), the
/// fields those of the backbone, whose tables both share; c = M(the example's chain), l its label's row of a
/// table. The sequence x_1 c_1 l_1 ... x_n c_n l_n x of n slots, c left out where there are no chains, passes
/// a transformer; the vector is what it makes of the last token, with ExtraSeat::gelu_map taken through a
/// linear layer and a GELU. M, H and R are LinearMlps, of a vector, of joint_hidden and back. With chains
/// backward adds the gradient of reconstruction * (1 - mean cos(R(h_j), chain_j)), over the slots with an
/// example, h_j what the transformer made of x_j, which saw no c_j. Parameters "llmcf.text*", "llmcf.joint*",
/// "llmcf.labels", "llmcf.transformer.*", "llmcf.reconstruction*", "llmcf.out.*".
template <class Real>
class InContext final : public ExtraVector<Real> {
 public:
  using BaseSaved = typename ExtraVector<Real>::Saved;

  /// Throws Error where chains and labels are not of one pool.
  InContext(const Context& context, Parameters<Real>& parameters, int width, const ExtraSeat& seat,
            const InContextOptions& options);

  int width() const override { return width_; }
  bool reads_fields() const override { return true; }
  bool has_sides() const override { return false; }
  void forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
               const Tensor<Real>& fields, const Tensor<Real>& out,
               std::unique_ptr<BaseSaved>* saved) const override;
  void backward(const Context& context, const BaseSaved& saved, const Tensor<Real>& d_out,
                const Tensor<Real>& d_fields) const override;
  /// x of each, and c beside it where there are chains.
  Tensor<Real> of_examples(const Context& context, const FeatureBatch& batch, std::int64_t first,
                           const Tensor<Real>& fields) const override;

 private:
  struct Saved final : BaseSaved {
    std::int64_t rows = 0, different_items = 0;
    TablePlan items;
    ExampleRows examples;
    typename LinearMlp<Real>::Saved text, joint, reconstruction;
    typename Transformer<Real>::Saved transformer;
    Tensor<Real> rebuilt;  // R's
    typename Linear<Real>::Saved out;
    Tensor<Real> out_sums;  // of the last layer, before its GELU
  };

  /// x of rows or examples, and c of examples.
  struct Parts {
    Tensor<Real> x, chains;
  };
  struct MadeParts {
    Matrix<const Real> x, chains;
  };
  /// x of all the batch's rows, and c of `chains` vectors, which put_chains(to) writes. `saved` may be null.
  template <class PutChains>
  Parts parts(const Context& context, const FeatureBatch& batch, const Tensor<Real>& fields,
              std::int64_t chains, const PutChains& put_chains, const Pass& pass, Saved* saved) const;
  /// Of the whole pool, as of_examples left them.
  MadeParts made_examples(const ExampleRows& examples) const;
  bool has_chains() const { return chains_.has_value(); }
  int of_slot() const { return has_chains() ? 3 : 2; }
  /// The tokens x_j of every sequence in y [rows * tokens x width], slot by slot of a row.
  Tensor<Real> of_slots(const Tensor<Real>& y, std::int64_t rows, int slot) const;
  /// Adds what the reconstruction loss asks of y to d_y.
  void reconstruct(const Context& context, const Saved& saved, const Tensor<Real>& d_y) const;

  int width_, examples_;
  double weight_;
  const Parameters<Real>* parameters_;
  FrozenVectors<Real> vectors_;
  std::optional<FrozenVectors<Real>> chains_;
  Buffer<std::int8_t> pool_labels_;
  LinearMlp<Real> text_, joint_;
  int labels_;
  Transformer<Real> transformer_;
  std::optional<LinearMlp<Real>> reconstruction_;
  std::optional<Linear<Real>> out_;
};

/// Throws Error as InContext.
std::shared_ptr<const ExtraVectorMaker> in_context(const InContextOptions& options);

}  // namespace sllmr
