// Extra vectors by themselves; tests/models/backbones_test.cpp has every backbone read each of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "models/layers/frozen_vectors/kernels.h"
#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"
#include "tests/support/extras.h"
#include "tests/support/features.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

constexpr std::array<Id, kVocabularies> kExtraRows{7, 12, 5, 8};
constexpr Pass kExtraPass{true, 21, 4};

HostFeatures some_features(int rows, bool sequence) {
  TestNumbers numbers(8);
  return random_features(numbers, rows, kExtraRows, 6, sequence);
}

/// An extra vector whose parameters are all drawn.
template <class Real>
struct ExtraModel {
  ExtraModel(const Context& context, const ExtraVectorMaker& maker, int width, const ExtraSeat& seat)
      : vector(maker.make(context, parameters, width, seat)) {
    parameters.allocate(context, 1);
    const std::vector<Real> drawn = random_numbers<Real>(2, parameters.size());
    parameters.values().assign(context, std::span<const Real>(drawn));
  }
  Tensor<Real> forward(const Context& context, const FeatureBatch& batch, const Pass& pass) const {
    const Tensor<Real> out =
        slice_of(context, batch.rows, vector->width(),
                 std::vector<Real>(static_cast<std::size_t>(batch.rows * vector->width())));
    vector->forward(context, batch, pass, {}, out, nullptr);
    return out;
  }

  Parameters<Real> parameters;
  std::unique_ptr<ExtraVector<Real>> vector;
};

/// The mean of the vectors of `items`, zero for none.
std::vector<double> mean_of(const ItemVectors& vectors, const std::vector<Id>& items) {
  std::vector<double> mean(static_cast<std::size_t>(vectors.width));
  for (const Id item : items) {
    for (std::size_t d = 0; d < mean.size(); ++d) {
      mean[d] += static_cast<double>((*vectors.values)[static_cast<std::size_t>(item) * mean.size() + d]) /
                 static_cast<double>(items.size());
    }
  }
  return mean;
}

/// The history's items of a row.
std::vector<Id> history_of(const HostFeatures& features, std::size_t row) {
  const auto& bags = features.of(Field::history_items);
  if (features.first_position.empty()) return bags[row];
  std::vector<Id> items;
  for (auto bag = features.first_position[row]; bag < features.first_position[row + 1]; ++bag) {
    const auto& of_position = bags[static_cast<std::size_t>(bag)];
    items.insert(items.end(), of_position.begin(), of_position.end());
  }
  return items;
}

template <class Real>
void expect_means(const Context& context, double tolerance) {
  const ItemVectors vectors = random_vectors(12, 37);
  const FrozenVectors<Real> frozen(context, vectors);
  for (const bool sequence : {false, true}) {
    HostFeatures features = some_features(9, sequence);
    if (!sequence) features.of(Field::history_items)[0].clear();
    const DeviceFeatures device(context, features);
    const Tensor<Real> of_items(context, 9, 37), of_histories(context, 9, 37);
    frozen.of_items(context, device.batch(), of_items);
    frozen.of_histories(context, device.batch(), of_histories);
    std::vector<double> items, histories;
    for (std::size_t row = 0; row < 9; ++row) {
      const auto item = mean_of(vectors, features.of(Field::item)[row]),
                 history = mean_of(vectors, history_of(features, row));
      items.insert(items.end(), item.begin(), item.end());
      histories.insert(histories.end(), history.begin(), history.end());
    }
    EXPECT_LT(norm_error(of_items.to_host(context), items), tolerance);
    EXPECT_LT(norm_error(of_histories.to_host(context), histories), tolerance);
  }
}

TEST(FrozenVectors, AreMeansOfWhatARowRefersTo) {
  expect_means<double>(Context(Device::cpu, 2), 1e-14);
  expect_means<float>(Context(Device::cpu, 2), 1e-6);
}
TEST(FrozenVectorsCuda, AreMeansOfWhatARowRefersTo) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_means<float>(Context(Device::cuda), 1e-6);
}

/// Rows of users whose vector knows no more than the row has seen, and no others.
template <class Real>
void expect_users(const Context& context) {
  const UserVectors users = random_users(kExtraRows[0], 37);
  const FrozenUserVectors<Real> frozen(context, users);
  for (const bool sequence : {false, true}) {
    HostFeatures features = some_features(9, sequence);
    features.of(Field::user)[3].clear();
    const DeviceFeatures device(context, features);
    std::vector<Real> expected = random_numbers<Real>(3, 9 * 37);
    const auto out = Tensor<Real>::from(context, 9, 37, expected);
    frozen.replace(context, device.batch(), out);
    int replaced = 0;
    for (std::size_t row = 0; row < 9; ++row) {
      const auto& of_row = features.of(Field::user)[row];
      if (of_row.empty()) continue;
      const auto user = static_cast<std::size_t>(of_row[0]);
      if (std::ssize(history_of(features, row)) < (*users.least)[user]) continue;
      ++replaced;
      for (std::size_t d = 0; d < 37; ++d)
        expected[row * 37 + d] = static_cast<Real>((*users.vectors.values)[user * 37 + d]);
    }
    EXPECT_TRUE(replaced > 0 && replaced < 8) << "the test says nothing: " << replaced;
    EXPECT_EQ(out.to_host(context), expected);
  }
}

TEST(FrozenUserVectors, ReplaceRowsThatHaveComeFarEnough) {
  expect_users<double>(Context(Device::cpu, 2));
  expect_users<float>(Context(Device::cpu, 2));
}
TEST(FrozenUserVectorsCuda, ReplaceRowsThatHaveComeFarEnough) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_users<float>(Context(Device::cuda));
}

TEST(FrozenVectors, RefuseWhatIsNotRows) {
  const Context context(Device::cpu, 1);
  ItemVectors vectors = random_vectors(3, 4);
  vectors.width = 5;
  EXPECT_THAT(error_of([&] { FrozenVectors<float>(context, vectors); }), HasSubstr("whole rows"));
}

/// y = x W^T + b.
std::vector<double> affine(const Parameters<double>& parameters, const std::string& name,
                           const std::vector<double>& x) {
  const auto& part = parameters.parts()[static_cast<std::size_t>(parameters.find(name + ".weight"))];
  const double *weight = parameters.value(parameters.find(name + ".weight")),
               *bias = parameters.value(parameters.find(name + ".bias"));
  std::vector<double> y;
  for (std::int64_t o = 0; o < part.shape[0]; ++o) {
    double sum = bias[o];
    for (std::size_t k = 0; k < x.size(); ++k)
      sum += weight[static_cast<std::size_t>(o) * x.size() + k] * x[k];
    y.push_back(sum);
  }
  return y;
}

TEST(TextMap, IsALinearMapOfTheItemsVector) {
  const Context context(Device::cpu, 2);
  const ItemVectors vectors = random_vectors(12, 6);
  const HostFeatures features = some_features(5, false);
  const DeviceFeatures device(context, features);
  const ExtraModel<double> model(context, *text_map(vectors), 4, {ExtraPlace::field});
  std::vector<double> expected;
  for (std::size_t row = 0; row < 5; ++row) {
    const auto y = affine(model.parameters, "text", mean_of(vectors, features.of(Field::item)[row]));
    expected.insert(expected.end(), y.begin(), y.end());
  }
  EXPECT_LT(norm_error(values_of(context, model.forward(context, device.batch(), kExtraPass)), expected),
            1e-13);
}

/// One expert without dropout.
std::vector<double> naive_expert(const Parameters<double>& parameters, const std::string& name, int layers,
                                 std::vector<double> x) {
  for (int l = 0; l < layers; ++l) {
    x = affine(parameters, name + "." + std::to_string(l), x);
    for (double& value : x) value = std::max(value, 0.0);
  }
  return x;
}

/// z_k of one tower, as rivals of S-LLMR are specified: softmax gate over shared experts, then its own.
std::vector<double> naive_tower(const Parameters<double>& parameters, const std::string& tower, int shared,
                                int own, int layers, const std::vector<double>& x) {
  std::vector<double> gate = affine(parameters, "kar." + tower + "_gate", x);
  double sum = 0;
  for (double& g : gate) sum += g = std::exp(g);
  std::vector<double> z;
  for (int e = 0; e < shared + own; ++e) {
    const std::string name =
        e < shared ? "kar.shared." + std::to_string(e) : "kar." + tower + "." + std::to_string(e - shared);
    const std::vector<double> given = naive_expert(parameters, name, layers, x);
    z.resize(given.size());
    for (std::size_t d = 0; d < given.size(); ++d) z[d] += gate[static_cast<std::size_t>(e)] / sum * given[d];
  }
  return z;
}

TEST(ExpertAdaptor, IsTheMixtureOfItsExperts) {
  const Context context(Device::cpu, 2);
  const ItemVectors vectors = random_vectors(12, 7);
  for (const bool sequence : {false, true}) {
    const HostFeatures features = some_features(6, sequence);
    const DeviceFeatures device(context, features);
    for (const ExtraPlace place : {ExtraPlace::field, ExtraPlace::joined}) {
      const auto maker = expert_adaptor({vectors, {}, {9, 5}, 2, 3, 0.1});
      const ExtraModel<double> model(context, *maker, 8, {place});
      EXPECT_EQ(model.vector->width(), place == ExtraPlace::field ? 8 : 16);
      std::vector<double> expected;
      for (std::size_t row = 0; row < 6; ++row) {
        for (const auto& [tower, x] :
             {std::pair(std::string("user"), mean_of(vectors, history_of(features, row))),
              std::pair(std::string("item"), mean_of(vectors, features.of(Field::item)[row]))}) {
          const auto z = naive_tower(model.parameters, tower, 2, 3, 3, x);
          expected.insert(expected.end(), z.begin(), z.end());
        }
      }
      EXPECT_LT(norm_error(values_of(context, model.forward(context, device.batch(), {})), expected), 1e-12);
    }
  }
}

TEST(ExpertAdaptor, OfOneExpertIsThatExpert) {
  const Context context(Device::cpu, 1);
  const ItemVectors vectors = random_vectors(12, 7);
  const HostFeatures features = some_features(4, false);
  const DeviceFeatures device(context, features);
  const ExtraModel<double> model(context, *expert_adaptor({vectors, {}, {9}, 0, 1, 0}), 4,
                                 {ExtraPlace::joined});
  const std::vector<double> z = values_of(context, model.forward(context, device.batch(), kExtraPass));
  for (std::size_t row = 0; row < 4; ++row) {
    const auto item =
        naive_expert(model.parameters, "kar.item.0", 2, mean_of(vectors, features.of(Field::item)[row]));
    EXPECT_TRUE(all_near(std::vector<double>(z.begin() + static_cast<std::ptrdiff_t>(8 * row + 4),
                                             z.begin() + static_cast<std::ptrdiff_t>(8 * row + 8)),
                         item, {1e-13, 1e-13}));
  }
}

/// The sums of LLM-CF's adaptors, as its configurations give them.
TEST(ExpertAdaptor, HasAsManyParametersAsPublished) {
  const Context context(Device::cpu, 1);
  struct Case {
    std::vector<int> hidden;
    int shared;
    ExtraPlace place;
    std::int64_t parameters;
  };
  const auto count = [&](std::int64_t encoder, const Case& of) {
    Parameters<float> parameters;
    const auto vector = expert_adaptor({random_vectors(2, encoder), {}, of.hidden, of.shared, 3, 0.1})
                            ->make(context, parameters, 32, {of.place});
    std::int64_t sum = 0;
    for (const auto& part : parameters.parts()) sum += part.size;
    return sum;
  };
  for (const Case& of : {Case{{128}, 4, ExtraPlace::field, 1'015'726},
                         {{128}, 2, ExtraPlace::field, 811'658},
                         {{128, 64}, 2, ExtraPlace::field, 869'514},
                         {{128}, 4, ExtraPlace::joined, 1'036'366},
                         {{128}, 2, ExtraPlace::joined, 828'170},
                         {{128, 64}, 2, ExtraPlace::joined, 877'834}}) {
    EXPECT_EQ(count(768, of), of.parameters);
  }
  // Of one expert, E = 384: the gates of 2 towers have 385 each.
  EXPECT_EQ(count(384, {{128}, 1, ExtraPlace::field, 0}) - count(384, {{128}, 0, ExtraPlace::field, 0}),
            51'344 + 2 * 385);
  EXPECT_EQ(count(384, {{128}, 1, ExtraPlace::joined, 0}) - count(384, {{128}, 0, ExtraPlace::joined, 0}),
            53'408 + 2 * 385);
}

/// Of LLM-CF with chains, as its configurations give it.
TEST(InContext, HasAsManyParametersAsPublished) {
  const Context context(Device::cpu, 1);
  for (const auto& [width, published] :
       {std::pair<std::int64_t, std::int64_t>(768, 472'736), {384, 275'744}}) {
    Parameters<float> parameters;
    const InContextOptions options{
        .vectors = random_vectors(2, width), .labels = {0, 1}, .chains = random_vectors(2, width)};
    const auto vector = in_context(options)->make(context, parameters, 32, {ExtraPlace::field});
    std::int64_t sum = 0;
    for (const auto& part : parameters.parts()) sum += part.size;
    EXPECT_EQ(sum, published);
    EXPECT_EQ(vector->width(), 32);
  }
}

TEST(InContext, RefusesAPoolThatIsNone) {
  InContextOptions options{.vectors = random_vectors(2, 3), .labels = {}, .chains = {}};
  EXPECT_THAT(error_of([&] { in_context(options); }), HasSubstr("a pool of examples"));
  options.labels = {0, 1};
  options.examples = 0;
  EXPECT_THAT(error_of([&] { in_context(options); }), HasSubstr("at least one slot"));
  options.examples = 1;
  options.chains = random_vectors(3, 3);
  EXPECT_THAT(error_of([&] { in_context(options); }), HasSubstr("one vector an example"));
  options.chains = random_vectors(2, 4);
  EXPECT_THAT(error_of([&] { in_context(options); }), HasSubstr("as wide as the items'"));
}

TEST(ExpertAdaptor, RefusesWhatIsNoMixture) {
  const ItemVectors vectors = random_vectors(3, 4);
  EXPECT_THAT(error_of([&] { expert_adaptor({vectors, {}, {4}, 0, 0, 0}); }), HasSubstr("0 experts"));
  EXPECT_THAT(error_of([&] { expert_adaptor({vectors, {}, {4}, 14, 3, 0}); }), HasSubstr("17 experts"));
  const Context context(Device::cpu, 1);
  Parameters<float> parameters;
  EXPECT_THAT(
      error_of([&] {
        expert_adaptor({vectors, {}, {4}, 1, 1, 0})->make(context, parameters, 5, {ExtraPlace::field});
      }),
      HasSubstr("must be even, not 5"));
  EXPECT_THAT(error_of([&] {
                expert_adaptor({vectors, random_users(3, 5), {4}, 1, 1, 0})
                    ->make(context, parameters, 4, {ExtraPlace::field});
              }),
              HasSubstr("vectors of 5 numbers, its items of 4"));
}

/// A NaN in a logit or in what an expert gave reaches the mixture and the gradients.
TEST(MixOfExperts, KeepsNaN) {
  const Context context(Device::cpu, 1);
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  for (const bool in_gate : {false, true}) {
    const auto gate = Tensor<double>::from(context, 1, 2, std::vector<double>{0.5, in_gate ? kNaN : 1.0}),
               first = Tensor<double>::from(context, 1, 1, std::vector<double>{in_gate ? 1.0 : kNaN}),
               second = Tensor<double>::from(context, 1, 1, std::vector<double>{2}),
               out = Tensor<double>(context, 1, 1), d_first = Tensor<double>(context, 1, 1),
               d_second = Tensor<double>(context, 1, 1), d_gate = Tensor<double>(context, 1, 2);
    run(context, MixOfExperts<double>{.experts = {2, {first, second}}, .gate = gate, .out = out});
    EXPECT_TRUE(std::isnan(out.data()[0]));
    run(context, MixOfExpertsBackward<double>{.experts = {2, {first, second}},
                                              .gate = gate,
                                              .d_out = second,
                                              .d_experts = {2, {d_first, d_second}},
                                              .d_gate = d_gate});
    EXPECT_TRUE(std::isnan(d_gate.data()[0]) && std::isnan(d_gate.data()[1]));
  }
}

/// What one side makes, added to what the other makes, is the whole.
TEST(ExtraVectors, AreTheSumOfBothSides) {
  const Context context(Device::cpu, 2);
  const HostFeatures features = some_features(7, false);
  const DeviceFeatures device(context, features);
  for (const ExtraKind& kind : extra_kinds(kExtraRows, 5)) {
    SCOPED_TRACE(kind.name);
    if (kind.examples) continue;
    const ExtraModel<double> model(context, *kind.maker, 6, {ExtraPlace::field});
    auto sum = Tensor<double>::zeros(context, 7, 6);
    for (const Side side : {Side::user, Side::item}) {
      const auto part = Tensor<double>::zeros(context, 7, 6);
      model.vector->of_side(context, device.batch(), side, part);
      for (std::int64_t k = 0; k < sum.size(); ++k) sum.data()[k] += part.data()[k];
    }
    EXPECT_LT(
        norm_error(sum.to_host(context), values_of(context, model.forward(context, device.batch(), {}))),
        1e-14);
  }
}

}  // namespace
}  // namespace sllmr
