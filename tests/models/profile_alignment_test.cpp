#include "models/alignment/profile_alignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/gates/columns.h"
#include "tests/models/parts.h"
#include "tests/support/compare.h"
#include "tests/support/finite_difference.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

using Numbers = std::vector<double>;

constexpr std::int64_t kProfileWidth = 9, kVectorWidth = 5, kAlignedUsers = 11, kAlignedItems = 8;

/// Rows with users and items that recur, positives among negatives.
struct AlignedWorld {
  std::vector<float> users = TestNumbers(1).many(kAlignedUsers * kProfileWidth, -1.0F, 1.0F),
                     items = TestNumbers(2).many(kAlignedItems * kProfileWidth, -1.0F, 1.0F);
  std::vector<Id> row_users = {3, 0, 10, 3, 7, 2, 3}, row_items = {1, 5, 1, 7, 0, 2, 2};
  std::vector<int> labels = {1, 0, 0, 1, 1, 0, 1};
  std::vector<float> user_vectors = TestNumbers(3).many(7 * kVectorWidth, -1.0F, 1.0F),
                     item_vectors = TestNumbers(4).many(7 * kVectorWidth, -1.0F, 1.0F);
  bool all_users = true;
  double weight = 0.4, temperature = 0.3;
};

struct AlignedOutcome {
  std::vector<float> d_users, d_items, d_parameters, start;
  std::map<int, double> sums;  // by column

  bool operator==(const AlignedOutcome&) const = default;
};

ProfileAlignmentOptions alignment_options(const AlignedWorld& world) {
  return {.profile_width = kProfileWidth,
          .users = world.users,
          .items = world.items,
          .width = kVectorWidth,
          .batch = 9,
          .all_users = world.all_users,
          .weight = world.weight,
          .temperature = world.temperature,
          .seed = 5};
}

AlignedOutcome align(const Context& context, const AlignedWorld& world, ProfileAlignment& alignment) {
  std::vector<Id> order, place(world.labels.size()), users, items;
  std::int64_t positives = 0;
  for (const int label : {1, 0}) {
    for (std::size_t row = 0; row < world.labels.size(); ++row) {
      if (world.labels[row] != label) continue;
      place[row] = static_cast<Id>(order.size());
      order.push_back(static_cast<Id>(row));
      users.push_back(world.row_users[row]);
      items.push_back(world.row_items[row]);
      positives += label;
    }
  }
  const Buffer<Id> of_order(context, std::span<const Id>(order)),
      of_place(context, std::span<const Id>(place)), of_users(context, std::span<const Id>(users)),
      of_items(context, std::span<const Id>(items));
  const std::int64_t rows = std::ssize(order);
  Buffer<float> slots(context, order.size() * GateColumns::stride);
  GateArgs gate;
  gate.slots = slots.data();
  gate.n_slots = static_cast<int>(rows);
  const auto vectors = [&](const std::vector<float>& values) {
    return Tensor<float>::from(context, rows, std::ssize(values) / rows, std::span<const float>(values));
  };
  const RowVectors<float> d =
      alignment.gradients(context,
                          {.positives = positives,
                           .negatives = rows - positives,
                           .order = of_order.data(),
                           .place = of_place.data(),
                           .items = of_items.data(),
                           .users = of_users.data()},
                          {vectors(world.user_vectors), vectors(world.item_vectors)}, gate);
  AlignedOutcome out{d.users.to_host(context),
                     d.items.to_host(context),
                     alignment.parameters().gradients().to_host(context),
                     alignment.parameters().values().to_host(context),
                     {}};
  const std::vector<float> sums = slots.to_host(context);
  for (std::size_t k = 0; k < sums.size(); ++k) {
    out.sums[static_cast<int>(k % GateColumns::stride)] += static_cast<double>(sums[k]);
  }
  return out;
}

AlignedOutcome align(const Context& context, const AlignedWorld& world) {
  ProfileAlignment alignment(context, alignment_options(world));
  return align(context, world, alignment);
}

/// The loss as its definition says, in double precision.
class NaiveAlignment {
 public:
  NaiveAlignment(const AlignedWorld& world, const Parameters<float>& layout, Numbers values)
      : parameters(std::move(values)),
        users(world.user_vectors.begin(), world.user_vectors.end()),
        items(world.item_vectors.begin(), world.item_vectors.end()),
        world_(world),
        layout_(layout) {}

  /// Of (anchors, candidates): the sum of -cos(a, own) / tau + log sum exp(cos / tau), and that of cos(a,
  /// own).
  struct Sums {
    double loss = 0, cosine = 0;
  };
  Sums of_users() const {
    const std::vector<Id> rows = rows_of(1);
    std::vector<Numbers> anchors, candidates;
    std::vector<std::size_t> own;
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const Id user = world_.row_users[static_cast<std::size_t>(rows[k])];
      anchors.push_back(vector(users, rows[k]));
      own.push_back(world_.all_users ? static_cast<std::size_t>(user) : k);
      if (!world_.all_users) candidates.push_back(mapped(world_.users, user));
    }
    for (Id user = 0; world_.all_users && user < kAlignedUsers; ++user) {
      candidates.push_back(mapped(world_.users, user));
    }
    return contrast(anchors, candidates, own);
  }
  Sums of_items(int label) const {
    std::vector<Numbers> anchors, candidates;
    std::vector<std::size_t> own;
    for (const Id row : rows_of(label)) {
      own.push_back(anchors.size());
      anchors.push_back(vector(items, row));
      candidates.push_back(mapped(world_.items, world_.row_items[static_cast<std::size_t>(row)]));
    }
    return contrast(anchors, candidates, own);
  }
  double loss() const {
    const auto mean = [&](const Sums& sums, int label) {
      const auto n = static_cast<double>(rows_of(label).size());
      return n > 0 ? sums.loss / n : 0;
    };
    return world_.weight * (mean(of_users(), 1) + mean(of_items(1), 1) + mean(of_items(0), 0));
  }

  Numbers parameters, users, items;

 private:
  std::vector<Id> rows_of(int label) const {
    std::vector<Id> rows;
    for (std::size_t row = 0; row < world_.labels.size(); ++row) {
      if (world_.labels[row] == label) rows.push_back(static_cast<Id>(row));
    }
    return rows;
  }
  static Numbers vector(const Numbers& of, Id row) {
    return {of.begin() + row * kVectorWidth, of.begin() + (row + 1) * kVectorWidth};
  }
  Numbers linear(const std::string& name, const Numbers& x) const {
    const auto& weight = layout_.parts()[static_cast<std::size_t>(layout_.find(name + ".weight"))];
    const auto& bias = layout_.parts()[static_cast<std::size_t>(layout_.find(name + ".bias"))];
    Numbers y;
    for (std::int64_t o = 0; o < bias.size; ++o) {
      double sum = parameters[static_cast<std::size_t>(bias.offset + o)];
      for (std::size_t k = 0; k < x.size(); ++k) {
        sum += parameters[static_cast<std::size_t>(weight.offset + o * std::ssize(x)) + k] * x[k];
      }
      y.push_back(sum);
    }
    return y;
  }
  Numbers mapped(const std::vector<float>& profiles, Id row) const {
    Numbers h = linear("alignment.0", {profiles.begin() + row * kProfileWidth,
                                       profiles.begin() + (row + 1) * kProfileWidth});
    for (double& x : h) x = x > 0 ? x : 0.01 * x;
    return linear("alignment.1", h);
  }
  static double cosine(const Numbers& a, const Numbers& b) {
    double aa = 1e-8, bb = 1e-8, ab = 0;
    for (std::size_t d = 0; d < a.size(); ++d) {
      aa += a[d] * a[d];
      bb += b[d] * b[d];
      ab += a[d] * b[d];
    }
    return ab / std::sqrt(aa) / std::sqrt(bb);
  }
  Sums contrast(const std::vector<Numbers>& anchors, const std::vector<Numbers>& candidates,
                const std::vector<std::size_t>& own) const {
    Sums sums;
    for (std::size_t r = 0; r < anchors.size(); ++r) {
      double sum = 0;
      for (const Numbers& each : candidates) sum += std::exp(cosine(anchors[r], each) / world_.temperature);
      const double of_own = cosine(anchors[r], candidates[own[r]]);
      sums.loss += std::log(sum) - of_own / world_.temperature;
      sums.cosine += of_own;
    }
    return sums;
  }

  const AlignedWorld& world_;
  const Parameters<float>& layout_;
};

/// Vectors and parameters against finite differences of the naive loss, and the sums that are told.
void expect_right_alignment(const Context& context, const AlignedWorld& world) {
  ProfileAlignment alignment(context, alignment_options(world));
  const AlignedOutcome out = align(context, world, alignment);
  const auto as_double = [](const std::vector<float>& of) { return Numbers(of.begin(), of.end()); };
  NaiveAlignment naive(world, alignment.parameters(), as_double(out.start));
  const auto loss = [&] { return naive.loss(); };
  EXPECT_LT(gradient_error(naive.users, as_double(out.d_users), loss), 1e-5);
  EXPECT_LT(gradient_error(naive.items, as_double(out.d_items), loss), 1e-5);
  for (const auto& part : alignment.parameters().parts()) {
    const auto slice = [&](Numbers& of) {
      return std::span<double>(of).subspan(static_cast<std::size_t>(part.offset),
                                           static_cast<std::size_t>(part.size));
    };
    Numbers gradient = as_double(out.d_parameters);
    EXPECT_LT(gradient_error(slice(naive.parameters), slice(gradient), loss), 1e-5) << part.name;
  }
  const auto expect_sums = [&](const ProfileAlignment::Columns& columns, const NaiveAlignment::Sums& sums) {
    EXPECT_TRUE(near(out.sums.at(columns.loss), sums.loss, {1e-5, 1e-5}));
    EXPECT_TRUE(near(out.sums.at(columns.cosine), sums.cosine, {1e-5, 1e-5}));
  };
  expect_sums(ProfileAlignment::kUsers, naive.of_users());
  expect_sums(ProfileAlignment::kPositives, naive.of_items(1));
  expect_sums(ProfileAlignment::kNegatives, naive.of_items(0));
}

void expect_right_alignments(const Context& context) {
  for (const bool all_users : {true, false}) {
    for (const std::vector<int>& labels :
         {AlignedWorld().labels, std::vector<int>(7, 1), std::vector<int>(7, 0)}) {
      SCOPED_TRACE(testing::Message() << all_users << " first label " << labels[0]);
      AlignedWorld world;
      world.all_users = all_users;
      world.labels = labels;
      expect_right_alignment(context, world);
    }
  }
}

TEST(ProfileAlignment, GradientsAreThoseOfTheNaiveLoss) {
  expect_right_alignments(Context(Device::cpu, 1));
}
TEST(ProfileAlignmentCuda, GradientsAreThoseOfTheNaiveLoss) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_right_alignments(Context(Device::cuda));
}

TEST(ProfileAlignment, DoesNotDependOnThreads) {
  for (const bool all_users : {true, false}) {
    AlignedWorld world;
    world.all_users = all_users;
    EXPECT_TRUE(align(Context(Device::cpu, 1), world) == align(Context(Device::cpu, 3), world));
  }
}

/// What a batch leaves in the profiles' memory does not reach the next, which may be smaller.
TEST(ProfileAlignment, DoesNotDependOnTheBatchBefore) {
  const Context context(Device::cpu, 1);
  for (const bool all_users : {true, false}) {
    AlignedWorld world;
    world.all_users = all_users;
    ProfileAlignment alignment(context, alignment_options(world));
    align(context, world, alignment);
    AlignedWorld smaller = world;
    smaller.labels.resize(3);
    smaller.user_vectors.resize(3 * kVectorWidth);
    smaller.item_vectors.resize(3 * kVectorWidth);
    const AlignedOutcome again = align(context, smaller, alignment);
    EXPECT_TRUE(again == align(context, smaller));
  }
}

std::vector<float> flat(const nlohmann::json& rows) {
  std::vector<float> out;
  for (const auto& row : rows) {
    for (const double x : row) out.push_back(static_cast<float>(x));
  }
  return out;
}

/// RLMRec's triples as rows of a positive and a negative, against PyTorch's autograd in float64
/// (tools/golden/make_alignment_golden.py).
void expect_alignment_golden(const Context& context) {
  std::ifstream in(SLLMR_SOURCE_DIR "/tests/models/golden/alignment.json");
  const nlohmann::json golden = nlohmann::json::parse(in);
  const std::int64_t width = golden["width"];
  const std::vector<float> users = flat(golden["profiles"]["users"]),
                           items = flat(golden["profiles"]["items"]),
                           user_table = flat(golden["vectors"]["users"]),
                           item_table = flat(golden["vectors"]["items"]);
  std::vector<Id> row_users, row_items;
  for (const std::vector<Id> triple : golden["triples"]) {
    for (const std::size_t item : {1, 2}) {
      row_users.push_back(triple[0]);
      row_items.push_back(triple[item]);
    }
  }
  const auto rows = std::ssize(row_users), triples = rows / 2;
  const auto looked_up = [&](const std::vector<float>& table, const std::vector<Id>& ids) {
    std::vector<float> out;
    for (const Id id : ids)
      out.insert(out.end(), table.begin() + id * width, table.begin() + (id + 1) * width);
    return out;
  };
  AlignedWorld world;
  world.user_vectors = looked_up(user_table, row_users);
  world.item_vectors = looked_up(item_table, row_items);
  world.row_users = row_users;
  world.row_items = row_items;
  world.labels.clear();
  for (std::int64_t row = 0; row < rows; ++row) world.labels.push_back(row % 2 == 0 ? 1 : 0);
  for (const bool all_users : {true, false}) {
    const nlohmann::json& expected = golden["cases"][all_users ? "all" : "batch"];
    ProfileAlignment alignment(context, {.profile_width = golden["profile"],
                                         .users = users,
                                         .items = items,
                                         .width = width,
                                         .batch = rows,
                                         .all_users = all_users,
                                         .weight = golden["weight"],
                                         .temperature = golden["temperature"]});
    Parameters<float>& parameters = alignment.parameters();
    std::vector<float> values(static_cast<std::size_t>(parameters.size()));
    for (const auto& part : parameters.parts()) {
      const std::vector<float> of_part = golden["parameters"][part.name];
      std::ranges::copy(of_part, values.begin() + part.offset);
    }
    parameters.values().assign(context, std::span<const float>(values));
    const AlignedOutcome out = align(context, world, alignment);
    const auto by_table = [&](const std::vector<float>& of_rows, const std::vector<Id>& ids,
                              std::size_t size) {
      Numbers sums(size);
      for (std::size_t k = 0; k < of_rows.size(); ++k) {
        const auto row = static_cast<std::int64_t>(k) / width;
        sums[static_cast<std::size_t>(ids[static_cast<std::size_t>(row)] * width) +
             k % static_cast<std::size_t>(width)] += static_cast<double>(of_rows[k]);
      }
      return sums;
    };
    EXPECT_LT(norm_error(by_table(out.d_users, row_users, user_table.size()), flat(expected["users"])), 1e-5);
    EXPECT_LT(norm_error(by_table(out.d_items, row_items, item_table.size()), flat(expected["items"])), 1e-5);
    for (const auto& part : parameters.parts()) {
      const std::vector<float> gradient(out.d_parameters.begin() + part.offset,
                                        out.d_parameters.begin() + part.offset + part.size);
      EXPECT_LT(norm_error(gradient, expected["parameters"][part.name].get<Numbers>()), 2e-5) << part.name;
    }
    double loss = 0;
    for (const int column : {ProfileAlignment::kUsers.loss, ProfileAlignment::kPositives.loss,
                             ProfileAlignment::kNegatives.loss}) {
      loss += out.sums.at(column);
    }
    EXPECT_TRUE(near(golden["weight"].get<double>() * loss / static_cast<double>(triples), expected["loss"],
                     {0, 1e-5}));
  }
}

TEST(ProfileAlignmentGolden, TriplesAreRlmRecs) {
  expect_alignment_golden(Context(Device::cpu, 1));
}
TEST(ProfileAlignmentGoldenCuda, TriplesAreRlmRecs) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_alignment_golden(Context(Device::cuda));
}

/// Weights start within +-sqrt(6 / (in + out)), and reach there; biases within +-1 / sqrt(in).
TEST(ProfileAlignment, StartsXavierUniform) {
  const Context context(Device::cpu, 1);
  const AlignedWorld world;
  const ProfileAlignment alignment(context, alignment_options(world));
  for (const auto& part : alignment.parameters().parts()) {
    const bool weight = part.shape.size() == 2;
    const std::int64_t in = part.name.starts_with("alignment.0") ? 9 : 7, out = part.shape[0];
    const double bound =
        weight ? std::sqrt(6.0 / static_cast<double>(in + out)) : 1 / std::sqrt(static_cast<double>(in));
    const float* values = alignment.parameters().value(alignment.parameters().find(part.name));
    double most = 0;
    for (std::int64_t k = 0; k < part.size; ++k)
      most = std::max(most, std::fabs(static_cast<double>(values[k])));
    EXPECT_LE(most, bound) << part.name;
    EXPECT_GT(most, 0.6 * bound) << part.name;
  }
}

}  // namespace
}  // namespace sllmr
