#include "models/layers/graph_embedding/graph_embedding.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"
#include "tests/support/features.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

constexpr std::array<Id, kVocabularies> kGraphRows{9, 14, 3, 3};

/// Users 1 to 7 of 8 and items 1 to 12 of 13 have edges, user 3 and item 5 many; some recur.
BackboneOptions options_of(int width) {
  BackboneOptions options;
  options.width = width;
  options.table_rows = kGraphRows;
  TestNumbers numbers(6);
  for (int k = 0; k < 30; ++k) options.interactions.push_back({numbers.id(1, 7), numbers.id(1, 12)});
  for (Id item = 1; item <= 12; ++item) options.interactions.push_back({3, item});
  for (Id user = 1; user <= 7; ++user) options.interactions.push_back({user, 5});
  return options;
}

template <class Real>
struct GraphRun {
  GraphRun(const Context& on, int width, int layers)
      : context(on), layer(on, parameters, "embedding", options_of(width), layers, 0.1) {
    parameters.allocate(on, 1);
    const std::vector<Real> drawn = random_numbers<Real>(2, parameters.size());
    parameters.values().assign(on, std::span<const Real>(drawn));
  }

  /// out, and the gradient of sum(weights * out).
  std::pair<std::vector<Real>, std::vector<Real>> operator()(const FeatureBatch& batch) {
    typename GraphEmbedding<Real>::Saved saved;
    const Tensor<Real> out = layer.forward(context, batch, &saved);
    layer.backward(context, batch, saved, slice_of(context, out.rows(), out.cols(), weights(out)));
    return {out.to_host(context), parameters.gradients().to_host(context)};
  }
  static std::vector<Real> weights(const Tensor<Real>& out) { return random_numbers<Real>(4, out.size()); }

  const Context& context;
  Parameters<Real> parameters;
  GraphEmbedding<Real> layer;
};

/// Rows whose users and items recur, those without edges (8 and 13) among them.
HostFeatures make_features(int rows) {
  TestNumbers numbers(7);
  HostFeatures features = random_features(numbers, rows, kGraphRows, 3);
  features.of(Field::user)[1] = {8};
  features.of(Field::item)[2] = {13};
  return features;
}

/// e of such a table over the options' graph, from dense matrices, layer by layer: [nodes x width].
std::vector<double> naive(const BackboneOptions& options, const double* table, int layers) {
  const Id users = options.table_rows[0];
  const auto nodes = static_cast<std::size_t>(users + options.table_rows[1]),
             columns = static_cast<std::size_t>(options.width);
  std::vector<std::vector<double>> adjacency(nodes, std::vector<double>(nodes));
  for (const auto& [user, item] : options.interactions) {
    const auto u = static_cast<std::size_t>(user), i = static_cast<std::size_t>(users + item);
    adjacency[u][i] = adjacency[i][u] = 1;
  }
  std::vector<double> degree(nodes);
  for (std::size_t i = 0; i < nodes; ++i) {
    for (const double edge : adjacency[i]) degree[i] += edge;
  }
  std::vector<double> x(table, table + nodes * columns), sum = x;
  for (int layer = 0; layer < layers; ++layer) {
    std::vector<double> next(x.size());
    for (std::size_t i = 0; i < nodes; ++i) {
      for (std::size_t j = 0; j < nodes; ++j) {
        if (adjacency[i][j] == 0) continue;
        for (std::size_t d = 0; d < columns; ++d)
          next[i * columns + d] += x[j * columns + d] / std::sqrt(degree[i] * degree[j]);
      }
    }
    x = next;
    for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += x[k];
  }
  for (double& s : sum) s /= layers + 1;
  return sum;
}

TEST(GraphEmbedding, IsTheMeanOverTheLayers) {
  const Context context(Device::cpu, 2);
  const HostFeatures features = make_features(20);
  const DeviceFeatures device(context, features);
  for (const int width : {1, 5, 40}) {
    for (const int layers : {1, 2, 3, 4}) {
      SCOPED_TRACE(testing::Message() << "width " << width << ", " << layers << " layers");
      const GraphRun<double> run(context, width, layers);
      const double* table = run.parameters.value(run.parameters.find("embedding"));
      const std::vector<double> e = naive(options_of(width), table, layers);
      EXPECT_TRUE(all_near(run.layer.propagated(context).to_host(context), e, {1e-14, 1e-14}));

      std::vector<double> rows;
      for (std::size_t row = 0; row < 20; ++row) {
        for (const Id node :
             {features.of(Field::user)[row][0], kGraphRows[0] + features.of(Field::item)[row][0]})
          rows.insert(rows.end(), e.begin() + node * width, e.begin() + (node + 1) * width);
      }
      EXPECT_TRUE(all_near(run.layer.forward(context, device.batch(), nullptr).to_host(context), rows,
                           {1e-14, 1e-14}));
      for (int d = 0; d < width; ++d) {  // user 8 has no edges
        EXPECT_DOUBLE_EQ(e[static_cast<std::size_t>(8 * width + d)], table[8 * width + d] / (layers + 1));
      }
    }
  }
}

TEST(GraphEmbedding, GradientsAreThoseOfFiniteDifferences) {
  const Context context(Device::cpu, 1);
  const DeviceFeatures device(context, make_features(20));
  for (const int layers : {1, 2, 3}) {
    SCOPED_TRACE(layers);
    GraphRun<double> run(context, 3, layers);
    const auto size = static_cast<std::size_t>(run.parameters.parts()[0].size);  // of a slab with a gap
    std::fill_n(run.parameters.gradients().data(), size, 7.0);                   // must not be seen again
    const std::vector<double> gradient = run(device.batch()).second;
    const auto loss = [&] {
      const Tensor<double> out = run.layer.forward(context, device.batch(), nullptr);
      const std::vector<double> weights = GraphRun<double>::weights(out), values = out.to_host(context);
      double sum = 0;
      for (std::size_t k = 0; k < values.size(); ++k) sum += weights[k] * values[k];
      return sum;
    };
    EXPECT_LT(gradient_error({run.parameters.values().data(), size}, {gradient.data(), size}, loss),
              kGradientTolerance);
  }
}

void expect_float_is_right(const Context& context) {
  const Context cpu(Device::cpu, 2);
  const HostFeatures features = make_features(200);
  for (const int width : {1, 33, 64}) {
    SCOPED_TRACE(width);
    GraphRun<double> reference(cpu, width, 3);
    const auto [right_out, right_gradient] = reference(DeviceFeatures(cpu, features).batch());
    GraphRun<float> run(context, width, 3);
    const auto [out, gradient] = run(DeviceFeatures(context, features).batch());
    EXPECT_LT(norm_error(out, right_out), 2e-6);
    EXPECT_LT(norm_error(gradient, right_gradient), 2e-6);
  }
}

TEST(GraphEmbedding, FloatIsRight) {
  expect_float_is_right(Context(Device::cpu, 2));
}
TEST(GraphEmbeddingCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_float_is_right(Context(Device::cuda));
}

/// A chain of 20 users and 20 items, user k between the items k and k + 1: far ends do not meet in any of the
/// layers.
BackboneOptions chain_options() {
  BackboneOptions options;
  options.width = 5;
  options.table_rows = {21, 22, 3, 3};
  for (Id k = 1; k <= 20; ++k) options.interactions.insert(options.interactions.end(), {{k, k}, {k, k + 1}});
  return options;
}

/// What is left out for a batch moves no bit of its rows, and its gradient is that of the whole graph.
void expect_all_that_counts(const Context& context, double tolerance) {
  TestNumbers numbers(8);
  const BackboneOptions options = chain_options();
  HostFeatures features = random_features(numbers, 2, options.table_rows, 3);
  features.of(Field::user) = {{4}, {20}};
  features.of(Field::item) = {{5}, {4}};
  const DeviceFeatures device(context, features);
  const std::vector<float> d_out = random_numbers<float>(4, 20);
  std::vector<double> d_e(43 * 5);
  const std::array<int, 4> node{4, 21 + 5, 20, 21 + 4};  // of each five numbers of d_out
  for (std::size_t k = 0; k < 20; ++k) d_e[static_cast<std::size_t>(node[k / 5]) * 5 + k % 5] = d_out[k];

  for (const int layers : {1, 2, 3, 6, 50}) {
    SCOPED_TRACE(layers);
    Parameters<float> parameters;
    const GraphEmbedding<float> layer(context, parameters, "embedding", options, layers, 0.1);
    parameters.allocate(context, 1);
    typename GraphEmbedding<float>::Saved saved;
    const std::vector<float> out = layer.forward(context, device.batch(), &saved).to_host(context);
    EXPECT_EQ(out, layer.forward(context, device.batch(), nullptr).to_host(context));
    layer.backward(context, device.batch(), saved, slice_of(context, 2, 10, d_out));
    std::vector<float> gradient = parameters.gradients().to_host(context);
    gradient.resize(d_e.size());
    EXPECT_TRUE(all_near(gradient, naive(options, d_e.data(), layers), {tolerance, tolerance}));
  }
}

TEST(GraphEmbedding, PropagatesAllThatTheBatchDependsOn) {
  expect_all_that_counts(Context(Device::cpu, 1), 1e-6);
  expect_all_that_counts(Context(Device::cpu, 2), 1e-6);
}
TEST(GraphEmbeddingCuda, PropagatesAllThatTheBatchDependsOn) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_all_that_counts(Context(Device::cuda), 1e-6);
}

TEST(GraphEmbedding, ThreadsDoNotMatter) {
  const auto run = [](int threads) {
    const Context context(Device::cpu, threads);
    GraphRun<float> layer(context, 64, 3);
    return layer(DeviceFeatures(context, make_features(200)).batch());
  };
  EXPECT_TRUE(run(1) == run(2));
  EXPECT_TRUE(run(2) == run(2)) << "repeatable";
}

TEST(GraphEmbedding, StartsFromANormalDistribution) {
  const Context context(Device::cpu, 1);
  Parameters<double> parameters;
  BackboneOptions options = options_of(64);
  options.table_rows = {1000, 1000, 1, 1};
  const GraphEmbedding<double> layer(context, parameters, "embedding", options, 3, 0.1);
  parameters.allocate(context, 1);
  double squares = 0;
  for (const double x : parameters.values().to_host(context)) squares += x * x;
  EXPECT_NEAR(squares / (2000 * 64), 0.01, 0.0002);
}

TEST(GraphEmbedding, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu, 1);
  const auto error = [&](const BackboneOptions& options, int layers = 3) {
    return error_of([&] {
      Parameters<float> parameters;
      GraphEmbedding<float>(context, parameters, "embedding", options, layers, 0.1);
    });
  };
  EXPECT_EQ(error(options_of(4)), "no error");
  EXPECT_THAT(error(options_of(4), 0), HasSubstr("'embedding' has 0 layers"));
  EXPECT_THAT(error(options_of(4), 256), HasSubstr("it takes 1 to 255"));
  EXPECT_THAT(error(options_of(0)), HasSubstr("the width of 'embedding' is 0"));
  BackboneOptions options = options_of(4);
  options.table_rows[1] = 0;
  EXPECT_THAT(error(options), HasSubstr("'embedding.item' has no rows"));
  options.table_rows = {2'000'000'000, 2'000'000'000, 1, 1};
  EXPECT_THAT(error(options), HasSubstr("more than an id can number"));
  options = options_of(4);
  options.interactions.clear();
  EXPECT_THAT(error(options), HasSubstr("has no interactions"));
  for (const Interaction& wrong : {Interaction{0, 1}, {1, 0}, {9, 1}, {1, 14}, {-1, 1}, {1, -1}}) {
    options = options_of(4);
    options.interactions.push_back(wrong);
    EXPECT_THAT(error(options), HasSubstr("an interaction of user " + std::to_string(wrong.user) +
                                          " with item " + std::to_string(wrong.item)));
  }

  const GraphRun<float> run(context, 4, 3);
  const DeviceFeatures device(context, make_features(5));
  typename GraphEmbedding<float>::Saved saved;
  run.layer.forward(context, device.batch(), &saved);
  const auto backward_error = [&](std::int64_t rows, std::int64_t cols) {
    return error_of([&] {
      run.layer.backward(context, device.batch(), saved, Tensor<float>::zeros(context, rows, cols));
    });
  };
  EXPECT_THAT(backward_error(4, 8), HasSubstr("output's gradient is [4 x 8], expected [5 x 8]"));
  EXPECT_THAT(backward_error(5, 4), HasSubstr("output's gradient is [5 x 4], expected [5 x 8]"));
  FeatureBatch without_plans = device.batch();
  without_plans.plans = {};
  EXPECT_THAT(error_of([&] { run.layer.forward(context, without_plans, &saved); }),
              HasSubstr("make it for training"));
}

}  // namespace
}  // namespace sllmr
