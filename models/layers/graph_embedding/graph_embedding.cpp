#include "models/layers/graph_embedding/graph_embedding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "models/layers/embedding/kernels.h"
#include "models/layers/shapes.h"

namespace sllmr {

namespace {

/// The neighbours of each node, users before items.
struct HostGraph {
  std::vector<std::int64_t> offsets;
  std::vector<Id> neighbours;
};

HostGraph make_graph(std::vector<Interaction> edges, Id user_rows, Id item_rows) {
  const auto key = [](const Interaction& edge) { return std::tie(edge.user, edge.item); };
  std::ranges::sort(edges, {}, key);
  const auto same = [&](const Interaction& a, const Interaction& b) { return key(a) == key(b); };
  edges.erase(std::unique(edges.begin(), edges.end(), same), edges.end());

  HostGraph graph;
  graph.offsets.resize(static_cast<std::size_t>(user_rows) + static_cast<std::size_t>(item_rows) + 1);
  const auto item_node = [&](const Interaction& edge) { return user_rows + edge.item; };
  for (const Interaction& edge : edges) {
    ++graph.offsets[static_cast<std::size_t>(edge.user) + 1];
    ++graph.offsets[static_cast<std::size_t>(item_node(edge)) + 1];
  }
  std::partial_sum(graph.offsets.begin(), graph.offsets.end(), graph.offsets.begin());
  graph.neighbours.resize(2 * edges.size());
  std::vector<std::int64_t> next = graph.offsets;
  for (const Interaction& edge : edges) {
    const auto put = [&](Id node, Id neighbour) {
      graph.neighbours[static_cast<std::size_t>(next[static_cast<std::size_t>(node)]++)] = neighbour;
    };
    put(edge.user, item_node(edge));
    put(item_node(edge), edge.user);
  }
  return graph;
}

}  // namespace

template <class Real>
GraphEmbedding<Real>::GraphEmbedding(const Context& context, Parameters<Real>& parameters,
                                     const std::string& name, const BackboneOptions& options, int layers,
                                     double deviation)
    : name_(name),
      parameters_(&parameters),
      width_(options.width),
      layers_(layers),
      first_item_(options.table_rows[static_cast<std::size_t>(Vocabulary::user)]),
      item_rows_(options.table_rows[static_cast<std::size_t>(Vocabulary::item)]) {
  require_layers(name, layers, std::numeric_limits<std::uint8_t>::max());
  require(width_ >= 1,
          "the width of '" + name + "' is " + std::to_string(width_) + "; it must be at least 1");
  for (const auto& [rows, what] : {std::pair(first_item_, "user"), std::pair(item_rows_, "item")}) {
    require(rows >= 1,
            "'" + name + "." + what + "' has no rows; a table has at least the row of the padding");
  }
  require(item_rows_ <= std::numeric_limits<Id>::max() - first_item_,
          "'" + name + "': users and items together are more than an id can number");
  require(!options.interactions.empty(),
          "'" + name + "' has no interactions; it needs those of training (BackboneOptions::interactions)");
  for (const auto& [user, item] : options.interactions) {
    if (user >= 1 && user < first_item_ && item >= 1 && item < item_rows_) continue;
    throw Error("'" + name + "': an interaction of user " + std::to_string(user) + " with item " +
                std::to_string(item) + ", but there are rows for users 1 to " +
                std::to_string(first_item_ - 1) + " and items 1 to " + std::to_string(item_rows_ - 1));
  }
  table_ = parameters.add(name, {std::int64_t{first_item_} + item_rows_, width_}, Initial::normal(deviation));

  const HostGraph host = make_graph(options.interactions, first_item_, item_rows_);
  std::vector<Real> scale(host.offsets.size() - 1);
  for (std::size_t node = 0; node < scale.size(); ++node) {
    const auto degree = static_cast<double>(host.offsets[node + 1] - host.offsets[node]);
    if (degree > 0) scale[node] = static_cast<Real>(1 / std::sqrt(degree));
  }
  offsets_ = Buffer<std::int64_t>(context, std::span<const std::int64_t>(host.offsets));
  neighbours_ = Buffer<Id>(context, std::span<const Id>(host.neighbours));
  scale_ = Buffer<Real>(context, std::span<const Real>(scale));
  graph_ = {static_cast<std::int64_t>(scale.size()), offsets_.data(), neighbours_.data(), scale_.data()};
}

template <class Real>
const TablePlan& GraphEmbedding<Real>::plan_of(const FeatureBatch& batch, Field field) const {
  const TablePlan& plan = batch.plans[static_cast<std::size_t>(vocabulary_of(field))];
  require(batch.rows == 0 || plan.n > 0,
          "layer '" + name_ + "': the batch has no plans; make it for training");
  return plan;
}

template <class Real>
Tensor<std::uint8_t> GraphEmbedding<Real>::reach_of(const Context& context, const FeatureBatch& batch) const {
  // Of the pool: a recorded step (LaunchGraph) keeps their addresses.
  Tensor<std::uint8_t> now = Tensor<std::uint8_t>::zeros(context, nodes(), 1), next(context, nodes(), 1);
  for (const Field field : {Field::user, Field::item}) {
    const TablePlan& plan = plan_of(batch, field);
    run(context, BatchNodes{.n = plan.n,
                            .keys = plan.keys,
                            .offsets = plan.offsets,
                            .field = plan.field,
                            .wanted = static_cast<std::int8_t>(field),
                            .first = first_node(field),
                            .layers = static_cast<std::uint8_t>(layers_),
                            .reach = now.data()});
  }
  for (int reach = layers_ - 1; reach >= 1; --reach) {
    run(context, GraphReach{.nodes = nodes(),
                            .offsets = graph_.offsets,
                            .neighbours = graph_.neighbours,
                            .reach = static_cast<std::uint8_t>(reach),
                            .from = now.data(),
                            .to = next.data()});
    std::swap(now, next);
  }
  return now;
}

template <class Real>
void GraphEmbedding<Real>::propagate(const Context& context, const Matrix<const Real>& x,
                                     const Matrix<Real>& out, Flow flow, const std::uint8_t* reach) const {
  // Horner's rule: x + A (x + A (x + ...)) needs no layer but the last.
  Propagation<Real> step{.graph = graph_, .base = x, .x = x, .out = out};
  if (flow != Flow::everywhere) step.reach = reach;
  if (flow == Flow::from_batch) step.least_base = layers_;
  Tensor<Real> now, next;
  for (int layer = 1; layer <= layers_; ++layer) {
    const bool last = layer == layers_;
    if (last) {
      step.factor = Real(1) / static_cast<Real>(layers_ + 1);
      step.out = out;
    } else {
      if (next.size() == 0) next = Tensor<Real>(context, nodes(), width_);
      step.out = next;
    }
    if (flow == Flow::to_batch) step.least_out = layer;
    if (flow == Flow::from_batch) {
      step.least_x = layers_ - layer + 1;
      step.least_out = layers_ - layer;
    }
    run(context, step);
    step.x = next;
    std::swap(now, next);
  }
}

template <class Real>
Tensor<Real> GraphEmbedding<Real>::propagated(const Context& context) const {
  Tensor<Real> e(context, nodes(), width_);
  propagate(context, parameters_->matrix(table_), e, Flow::everywhere, nullptr);
  return e;
}

template <class Real>
Tensor<Real> GraphEmbedding<Real>::look_up(const Context& context, const Tensor<Real>& e,
                                           const FeatureBatch& batch, Field field) const {
  Tensor<Real> out(context, batch.rows, width_);
  look_up(context, e, batch, field, out);
  return out;
}

template <class Real>
void GraphEmbedding<Real>::look_up(const Context& context, const Tensor<Real>& e, const FeatureBatch& batch,
                                   Field field, const Tensor<Real>& out) const {
  const Bags& bags = batch.fields[static_cast<std::size_t>(field)];
  const std::int64_t first = first_node(field);
  const BagField<Real> looked_up{.table = e.row_range(first, nodes() - first),
                                 .ids = bags.ids,
                                 .begin = bags.begin,
                                 .length = bags.length,
                                 .out = out};
  run(context, BagMeans<Real>{.n_fields = 1, .fields = {looked_up}});
}

template <class Real>
Tensor<Real> GraphEmbedding<Real>::forward(const Context& context, const FeatureBatch& batch,
                                           Saved* saved) const {
  if (saved != nullptr) saved->reach = reach_of(context, batch);
  Tensor<Real> e(context, nodes(), width_);
  propagate(context, parameters_->matrix(table_), e, saved != nullptr ? Flow::to_batch : Flow::everywhere,
            saved != nullptr ? saved->reach.data() : nullptr);
  Tensor<Real> out(context, batch.rows, 2 * std::int64_t{width_});
  look_up(context, e, batch, Field::user, out.columns(0, width_));
  look_up(context, e, batch, Field::item, out.columns(width_, width_));
  return out;
}

template <class Real>
void GraphEmbedding<Real>::backward(const Context& context, const FeatureBatch& batch, const Saved& saved,
                                    const Tensor<Real>& d_out) const {
  require_shape(name_, "output's gradient", d_out, batch.rows, 2 * std::int64_t{width_});
  const Tensor<Real> d_e(context, nodes(), width_);  // rows of the batch are written, others not read
  std::int64_t column = 0;
  for (const Field field : {Field::user, Field::item}) {
    const TablePlan& plan = plan_of(batch, field);
    const std::int64_t first = first_node(field);
    run(context, BagGradients<Real>{.n = plan.n,
                                    .keys = plan.keys,
                                    .offsets = plan.offsets,
                                    .field = plan.field,
                                    .bag = plan.row,
                                    .wanted = static_cast<std::int8_t>(field),
                                    .length = batch.fields[static_cast<std::size_t>(field)].length,
                                    .d_means = d_out.columns(column, width_),
                                    .d_table = d_e.row_range(first, nodes() - first)});
    column += width_;
  }
  // A is symmetric: backward is forward.
  propagate(context, d_e, parameters_->gradient_matrix(table_), Flow::from_batch, saved.reach.data());
}

template class GraphEmbedding<float>;
template class GraphEmbedding<double>;

}  // namespace sllmr
