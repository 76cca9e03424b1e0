// LightGCN (He et al., SIGIR 2020), with the layers and initial values of its authors' code.
#include <type_traits>
#include <utility>

#include "kernels/embedding.h"
#include "kernels/exec/gemm.h"
#include "models/backbones/factories.h"
#include "models/layers/fm.h"
#include "models/layers/graph_embedding.h"

namespace sllmr {

namespace {

constexpr int kLayers = 3;
constexpr double kDeviation = 0.1;

/// Products of rows of a propagated table, which it holds.
class PropagatedScorer final : public Scorer {
 public:
  PropagatedScorer(const Context& context, const GraphEmbedding<float>& embedding)
      : width_(embedding.width()),
        item_rows_(embedding.item_rows()),
        e_(embedding.propagated(context)),
        items_(e_.data() + std::int64_t{embedding.first_item()} * width_) {}

  Id item_rows() const override { return item_rows_; }
  std::int64_t scratch_floats(std::int64_t users) const override { return users * width_; }

  void score_tile(const Context& context, const Id* users, std::int64_t n, float* scratch,
                  float* logits) const override {
    gather_rows(context, e_.data(), width_, users, n, scratch);
    gemm(context, Transpose::no, Transpose::yes, n, item_rows_, width_, 1.0F, scratch, width_, items_, width_,
         0.0F, logits, item_rows_);
  }

  void score_pairs(const Context& context, const Id* users, const Id* items, std::int64_t n,
                   float* logits) const override {
    dot_rows(context, e_.data(), items_, width_, users, items, n, logits);
  }

 private:
  int width_;
  Id item_rows_;
  Tensor<float> e_;
  const float* items_;
};

/// logit = <e_user, e_item>, e the mean over the layers of a propagation over the training graph.
template <class Real>
class LightGcn final : public Backbone<Real> {
 public:
  using BaseSaved = typename Backbone<Real>::Saved;

  LightGcn(const Context& context, const BackboneOptions& options)
      : embedding_(context, this->parameters_, "embedding", options, kLayers, kDeviation),
        product_("product", 2, options.width) {
    this->parameters_.allocate(context, options.seed);
  }

  Tensor<Real> forward(const Context& context, const FeatureBatch& batch, const Pass&,
                       std::unique_ptr<BaseSaved>* saved) const override {
    auto kept = saved == nullptr ? nullptr : std::make_unique<Saved>();
    const Tensor<Real> x = embedding_.forward(context, batch);
    Tensor<Real> logits = product_.forward(context, x, kept ? &kept->product : nullptr);
    if (kept) *saved = std::move(kept);
    return logits;
  }

  void backward(const Context& context, const FeatureBatch& batch, const BaseSaved& saved,
                const Tensor<Real>& d_logits) override {
    const auto& kept = static_cast<const Saved&>(saved).product;
    const Tensor<Real> d_x(context, kept.x.rows(), kept.x.cols());
    product_.backward(context, kept, d_logits, d_x, GradientMode::replace);
    embedding_.backward(context, batch, d_x, GradientMode::replace);
  }

  std::unique_ptr<Scorer> scorer(const Context& context) const override {
    if constexpr (std::is_same_v<Real, float>) {
      return std::make_unique<PropagatedScorer>(context, embedding_);
    } else {
      return nullptr;
    }
  }

  std::vector<Embedding<Real>*> embeddings() override { return {}; }

 private:
  struct Saved final : BaseSaved {
    typename FactorizationMachine<Real>::Saved product;
  };

  GraphEmbedding<Real> embedding_;
  FactorizationMachine<Real> product_;
};

}  // namespace

template <class Real>
std::unique_ptr<Backbone<Real>> make_lightgcn(const Context& context, const BackboneOptions& options) {
  return std::make_unique<LightGcn<Real>>(context, options);
}
template std::unique_ptr<Backbone<float>> make_lightgcn(const Context&, const BackboneOptions&);
template std::unique_ptr<Backbone<double>> make_lightgcn(const Context&, const BackboneOptions&);

}  // namespace sllmr
