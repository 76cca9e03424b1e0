#include "models/layers/graph_embedding/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "kernels/exec/memory.h"
#include "models/layers/embedding/kernels.h"
#include "tests/support/compare.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

template <class Real>
std::vector<Real> random_numbers(std::uint64_t seed, std::size_t n) {
  const std::vector<float> numbers = TestNumbers(seed).many(n, -1.0F, 1.0F);
  return {numbers.begin(), numbers.end()};
}

/// Neighbours of each node: a random undirected graph in which node 0 has none, node 1 has all others and the
/// last has one.
std::vector<std::set<Id>> make_neighbours(Id nodes) {
  TestNumbers numbers(5);
  std::vector<std::set<Id>> neighbours(static_cast<std::size_t>(nodes));
  const auto connect = [&](Id a, Id b) {
    if (a == b) return;
    neighbours[static_cast<std::size_t>(a)].insert(b);
    neighbours[static_cast<std::size_t>(b)].insert(a);
  };
  for (Id node = 2; node < nodes; ++node) connect(1, node);
  for (Id edge = 0; nodes > 4 && edge < 2 * nodes; ++edge)
    connect(numbers.id(1, nodes - 2), numbers.id(1, nodes - 2));
  return neighbours;
}

/// The graph on the device.
template <class Real>
struct DeviceGraph {
  DeviceGraph(const Context& context, const std::vector<std::set<Id>>& neighbours) {
    std::vector<std::int64_t> host_offsets{0};
    std::vector<Id> host_ids;
    std::vector<Real> host_scale;
    for (const std::set<Id>& of_node : neighbours) {
      host_ids.insert(host_ids.end(), of_node.begin(), of_node.end());
      host_offsets.push_back(static_cast<std::int64_t>(host_ids.size()));
      // That of a node without neighbours must not matter.
      host_scale.push_back(
          of_node.empty() ? Real(7) : static_cast<Real>(1 / std::sqrt(static_cast<double>(of_node.size()))));
    }
    offsets = Buffer<std::int64_t>(context, std::span<const std::int64_t>(host_offsets));
    ids = Buffer<Id>(context, std::span<const Id>(host_ids));
    scale = Buffer<Real>(context, std::span<const Real>(host_scale));
    graph = {static_cast<std::int64_t>(neighbours.size()), offsets.data(), ids.data(), scale.data()};
  }

  Buffer<std::int64_t> offsets;
  Buffer<Id> ids;
  Buffer<Real> scale;
  Graph<Real> graph;
};

/// The least reach of the rows that count, see Propagation.
struct Least {
  int out = 0, base = 0, x = 0;
};

/// A reach for each node: 0 to 3.
std::vector<std::uint8_t> random_reach(std::size_t nodes) {
  TestNumbers numbers(9);
  std::vector<std::uint8_t> reach(nodes);
  for (std::uint8_t& r : reach) r = static_cast<std::uint8_t>(numbers.id(0, 3));
  return reach;
}

/// Those rows of `cells` whose reach is less than `least`, made `value`.
template <class Real>
void fill_below(std::vector<Real>& cells, const std::vector<std::uint8_t>& reach, int least, Real value) {
  const std::size_t width = cells.size() / reach.size();
  for (std::size_t node = 0; node < reach.size(); ++node) {
    if (reach[node] < least)
      std::fill_n(cells.begin() + static_cast<std::ptrdiff_t>(node * width), width, value);
  }
}

/// The result of the kernel, with `out` as random_numbers(3, ...) before. With `least`, the nodes have a
/// random_reach(), and what must not be read is NaN.
template <class Real>
std::vector<Real> propagate(const Context& context, const std::vector<std::set<Id>>& neighbours, int width,
                            const Least* least = nullptr) {
  const std::size_t cells = neighbours.size() * static_cast<std::size_t>(width);
  std::vector<Real> base = random_numbers<Real>(1, cells), x = random_numbers<Real>(2, cells);
  const std::vector<Real> before = random_numbers<Real>(3, cells);
  const std::vector<std::uint8_t> reach = random_reach(neighbours.size());
  if (least != nullptr) {
    fill_below(base, reach, least->base, std::numeric_limits<Real>::quiet_NaN());
    fill_below(x, reach, least->x, std::numeric_limits<Real>::quiet_NaN());
  }
  const DeviceGraph<Real> device(context, neighbours);
  const Buffer<std::uint8_t> device_reach(context, std::span<const std::uint8_t>(reach));
  const Buffer<Real> device_base(context, std::span<const Real>(base)),
      device_x(context, std::span<const Real>(x));
  Buffer<Real> out(context, std::span<const Real>(before));
  const auto nodes = device.graph.nodes;
  Propagation<Real> args{.graph = device.graph,
                         .base = {device_base.data(), nodes, width},
                         .x = {device_x.data(), nodes, width},
                         .factor = Real(0.25),
                         .out = {out.data(), nodes, width}};
  if (least != nullptr) {
    args.reach = device_reach.data();
    args.least_out = least->out;
    args.least_base = least->base;
    args.least_x = least->x;
  }
  run(context, args);
  return out.to_host(context);
}

std::vector<double> naive(const std::vector<std::set<Id>>& neighbours, int width, const Least& least = {}) {
  const auto columns = static_cast<std::size_t>(width);
  const std::size_t cells = neighbours.size() * columns;
  std::vector<double> base = random_numbers<double>(1, cells), x = random_numbers<double>(2, cells);
  const std::vector<double> before = random_numbers<double>(3, cells);
  const std::vector<std::uint8_t> reach = random_reach(neighbours.size());
  fill_below(base, reach, least.base, 0.0);
  fill_below(x, reach, least.x, 0.0);
  std::vector<double> out(cells);
  for (std::size_t i = 0; i < neighbours.size(); ++i) {
    for (std::size_t d = 0; d < columns; ++d) {
      double sum = base[i * columns + d];
      for (const Id neighbour : neighbours[i]) {
        const auto j = static_cast<std::size_t>(neighbour);
        const auto degrees = static_cast<double>(neighbours[i].size() * neighbours[j].size());
        sum += x[j * columns + d] / std::sqrt(degrees);
      }
      out[i * columns + d] = reach[i] < least.out ? before[i * columns + d] : 0.25 * sum;
    }
  }
  return out;
}

/// Widths around the blocks of 16, 32 and 64 floats (CPU) and 64 lanes' columns (CUDA); nodes around the 64
/// stripes of runs of 32.
template <class Real>
void expect_right(const Context& context, double tolerance) {
  for (const Id nodes : {2, 3, 31, 32, 33, 64, 65, 300, 2049}) {
    const std::vector<std::set<Id>> neighbours = make_neighbours(nodes);
    for (const int width : {1, 7, 8, 16, 31, 32, 33, 64, 65, 100, 144}) {
      SCOPED_TRACE(testing::Message() << nodes << " nodes, width " << width);
      EXPECT_LT(norm_error(propagate<Real>(context, neighbours, width), naive(neighbours, width)), tolerance);
      const Least least{.out = 1, .base = 3, .x = 2};
      EXPECT_LT(
          norm_error(propagate<Real>(context, neighbours, width, &least), naive(neighbours, width, least)),
          tolerance);
    }
  }
}

TEST(GraphPropagate, IsItsFormula) {
  for (const int threads : {1, 2}) {
    expect_right<double>(Context(Device::cpu, threads), 1e-14);
    expect_right<float>(Context(Device::cpu, threads), 2e-6);
  }
}
TEST(GraphPropagateCuda, IsItsFormula) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right<double>(Context(Device::cuda), 1e-14);
  expect_right<float>(Context(Device::cuda), 2e-6);
}

void expect_same_bits(const Context& a, const Context& b) {
  const std::vector<std::set<Id>> neighbours = make_neighbours(1000);
  EXPECT_EQ(propagate<float>(a, neighbours, 64), propagate<float>(b, neighbours, 64));
}

TEST(GraphPropagate, IsRepeatableAndDoesNotDependOnTheThreads) {
  const Context one(Device::cpu, 1), two(Device::cpu, 2);
  expect_same_bits(one, two);
  expect_same_bits(two, two);
}
TEST(GraphPropagateCuda, IsRepeatable) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  expect_same_bits(context, context);
}

/// Of a random graph of 200 nodes, most of them in a chain behind the batch's: `layers` less the distance.
void expect_reach(const Context& context, int layers) {
  std::vector<std::set<Id>> neighbours(200);
  TestNumbers numbers(11);
  const auto connect = [&](Id a, Id b) {
    neighbours[static_cast<std::size_t>(a)].insert(b);
    neighbours[static_cast<std::size_t>(b)].insert(a);
  };
  for (Id node = 21; node < 200; ++node) connect(node, node - numbers.id(1, 3));
  // Keys 5 and 0 are in field 1, 3 and 7 in others; the table begins at node 20.
  const std::vector<Id> keys{3, 5, 0, 7};
  const std::vector<std::int64_t> offsets{0, 1, 3, 4, 4};
  const std::vector<std::int8_t> field{4, 4, 1, 1};
  std::vector<std::uint8_t> expected(200);
  expected[25] = expected[20] = static_cast<std::uint8_t>(layers);
  for (int reach = layers - 1; reach >= 1; --reach) {
    for (std::size_t node = 0; node < 200; ++node) {
      if (expected[node] != reach + 1) continue;
      for (const Id other : neighbours[node]) {
        auto& of_other = expected[static_cast<std::size_t>(other)];
        of_other = std::max(of_other, static_cast<std::uint8_t>(reach));
      }
    }
  }

  const DeviceGraph<float> device(context, neighbours);
  const Buffer<Id> device_keys(context, std::span<const Id>(keys));
  const Buffer<std::int64_t> device_offsets(context, std::span<const std::int64_t>(offsets));
  const Buffer<std::int8_t> device_field(context, std::span<const std::int8_t>(field));
  Buffer<std::uint8_t> now(context, 200), next(context, 200);
  run(context, BatchNodes{.n = 4,
                          .keys = device_keys.data(),
                          .offsets = device_offsets.data(),
                          .field = device_field.data(),
                          .wanted = 1,
                          .first = 20,
                          .layers = static_cast<std::uint8_t>(layers),
                          .reach = now.data()});
  for (int reach = layers - 1; reach >= 1; --reach) {
    run(context, GraphReach{.nodes = 200,
                            .offsets = device.graph.offsets,
                            .neighbours = device.graph.neighbours,
                            .reach = static_cast<std::uint8_t>(reach),
                            .from = now.data(),
                            .to = next.data()});
    std::swap(now, next);
  }
  EXPECT_EQ(now.to_host(context), expected);
}

TEST(GraphReach, IsWhatIsLeftOfTheLayers) {
  for (const int layers : {1, 2, 5, 255}) {
    SCOPED_TRACE(layers);
    expect_reach(Context(Device::cpu, 1), layers);
    expect_reach(Context(Device::cpu, 2), layers);
  }
}
TEST(GraphReachCuda, IsWhatIsLeftOfTheLayers) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  for (const int layers : {1, 2, 5, 255}) expect_reach(Context(Device::cuda), layers);
}

/// Rows 4, 1 and 2 of a table of 6: three occurrences in the wanted field, one of them in a bag of two; one
/// in another field alone; none.
template <class Real>
void expect_bag_gradients(const Context& context, double tolerance) {
  const std::vector<Id> keys{4, 1, 2};
  const std::vector<std::int64_t> offsets{0, 4, 5, 5};
  const std::vector<std::int8_t> field{1, 4, 1, 1, 4};
  const std::vector<std::int32_t> bag{0, 0, 2, 1, 1}, length{1, 2, 1};
  for (const int width : {1, 5, 33, 64}) {
    SCOPED_TRACE(width);
    const auto columns = static_cast<std::size_t>(width);
    const std::size_t stride = columns + 3;
    const std::vector<Real> d = random_numbers<Real>(1, 3 * stride),
                            before = random_numbers<Real>(2, 6 * columns);
    std::vector<double> expected(before.begin(), before.end());
    for (std::size_t k = 0; k < columns; ++k) {
      expected[4 * columns + k] = static_cast<double>(d[k]) + d[2 * stride + k] + d[stride + k] / Real(2);
      expected[columns + k] = expected[2 * columns + k] = 0;
    }
    const Buffer<Id> device_keys(context, std::span<const Id>(keys)),
        device_bag(context, std::span<const Id>(bag)), device_length(context, std::span<const Id>(length));
    const Buffer<std::int64_t> device_offsets(context, std::span<const std::int64_t>(offsets));
    const Buffer<std::int8_t> device_field(context, std::span<const std::int8_t>(field));
    const Buffer<Real> device_d(context, std::span<const Real>(d));
    Buffer<Real> table(context, std::span<const Real>(before));
    run(context, BagGradients<Real>{.n = 3,
                                    .keys = device_keys.data(),
                                    .offsets = device_offsets.data(),
                                    .field = device_field.data(),
                                    .bag = device_bag.data(),
                                    .wanted = 1,
                                    .length = device_length.data(),
                                    .d_means = {device_d.data(), 3, width, static_cast<std::int64_t>(stride)},
                                    .d_table = {table.data(), 6, width}});
    EXPECT_TRUE(all_near(table.to_host(context), expected, {tolerance, tolerance}));
  }
}

TEST(BagGradients, AreSumsOverTheOccurrencesInTheField) {
  expect_bag_gradients<double>(Context(Device::cpu, 2), 1e-15);
  expect_bag_gradients<float>(Context(Device::cpu, 2), 1e-6);
}
TEST(BagGradientsCuda, AreSumsOverTheOccurrencesInTheField) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_bag_gradients<double>(Context(Device::cuda), 1e-15);
  expect_bag_gradients<float>(Context(Device::cuda), 1e-6);
}

}  // namespace
}  // namespace sllmr
