// An embedding table of users and items whose rows are propagated over the graph of their interactions.
#pragma once

#include <cstdint>
#include <string>

#include "models/backbone.h"
#include "models/layers/graph_embedding/kernels.h"

namespace sllmr {

/// e = (E + A E + ... + A^layers E) / (layers + 1), with A the normalised adjacency matrix of the graph of
/// `options.interactions` and E {nodes, options.width}, the parameter of that name, drawn from N(0,
/// deviation^2). User u is node u, item i is node table_rows[user] + i; interactions that recur count once. A
/// node without interactions keeps its own share, E / (layers + 1). The gradient is dense, so E is a
/// parameter of the slab, whose every row takes every step of the optimiser.
template <class Real>
class GraphEmbedding {
 public:
  struct Saved {
    Tensor<std::uint8_t> reach;  // see GraphReach; [nodes x 1]
  };

  /// Throws Error for a width, a number of rows or of layers below 1, for more than 255 layers, for no
  /// interactions at all, and for one of the padding or of an id without a row.
  GraphEmbedding(const Context& context, Parameters<Real>& parameters, const std::string& name,
                 const BackboneOptions& options, int layers, double deviation);

  int width() const { return width_; }
  /// All of e, [nodes x width].
  Tensor<Real> propagated(const Context& context) const;
  /// Rows of `e`, which propagated() made, of each row's user or item, [batch.rows x width].
  Tensor<Real> look_up(const Context& context, const Tensor<Real>& e, const FeatureBatch& batch,
                       Field field) const;

  /// e of each row's user beside that of its item, [batch.rows x 2 * width], ids from 1 on. `saved` may be
  /// null; else the batch needs its plans, and of the graph only what the batch's nodes depend on is
  /// propagated.
  Tensor<Real> forward(const Context& context, const FeatureBatch& batch, Saved* saved) const;
  /// Gradient of E from that of forward's result.
  void backward(const Context& context, const FeatureBatch& batch, const Saved& saved,
                const Tensor<Real>& d_out) const;

 private:
  std::int64_t nodes() const { return graph_.nodes; }
  void look_up(const Context& context, const Tensor<Real>& e, const FeatureBatch& batch, Field field,
               const Tensor<Real>& out) const;
  /// The plan of the batch's users or items; throws Error if it has none.
  const TablePlan& plan_of(const FeatureBatch& batch, Field field) const;
  Id first_node(Field field) const { return field == Field::item ? first_item_ : 0; }
  Tensor<std::uint8_t> reach_of(const Context& context, const FeatureBatch& batch) const;

  /// Which rows of a propagation matter: all, those that the batch's rows of the result depend on, or, where
  /// x has rows of the batch alone, those that depend on these.
  enum class Flow { everywhere, to_batch, from_batch };
  /// out = (x + A x + ... + A^layers x) / (layers + 1). `x` and `out` [nodes x width], two pieces of memory.
  /// `reach` is read where the flow is not everywhere.
  void propagate(const Context& context, const Matrix<const Real>& x, const Matrix<Real>& out, Flow flow,
                 const std::uint8_t* reach) const;

  std::string name_;
  const Parameters<Real>* parameters_;
  int width_, layers_, table_;
  Id first_item_, item_rows_;
  Buffer<std::int64_t> offsets_;
  Buffer<Id> neighbours_;
  Buffer<Real> scale_;
  Graph<Real> graph_;
};

extern template class GraphEmbedding<float>;
extern template class GraphEmbedding<double>;

}  // namespace sllmr
