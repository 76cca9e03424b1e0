// Every backbone of the registry: gradients, independence of threads and neighbours, machines against one
// another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/registry.h"
#include "tests/models/layers/layer_check.h"
#include "tests/models/parts.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/extras.h"
#include "tests/support/features.h"
#include "tests/support/finite_difference.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

constexpr std::array<Id, kVocabularies> kBackboneRows{7, 12, 5, 8};
constexpr Pass kTraining{true, 21, 4};

BackboneOptions small_options() {
  BackboneOptions options;
  options.width = 4;
  options.hidden = {6, 5};
  options.dropout = 0.2;
  options.cin_sizes = {6, 4, 4};
  options.attention_width = 8;
  options.din_attention_hidden = {5, 3};
  options.seed = 3;
  options.table_rows = kBackboneRows;
  // User 6 and items 9 to 11 have none.
  for (Id user = 1; user < 6; ++user) {
    for (Id k = 0; k < 3; ++k) options.interactions.push_back({user, 1 + (3 * user + k * k) % 8});
  }
  return options;
}

/// A backbone in one of its forms.
struct Form {
  const BackboneInfo* info;
  BackboneOptions options;
  std::string label;
  bool examples = false;  // does it read some in its batches?
};
std::vector<Form> forms(const BackboneOptions& options) {
  std::vector<Form> out;
  for (const BackboneInfo& info : backbones()) {
    out.push_back({&info, options, std::string(info.name)});
    BackboneOptions other = options;
    other.cross = CrossKind::full;
    other.frozen_bias = other.relu_deep_logit = true;
    out.push_back({&info, other, std::string(info.name) + ", every switch thrown"});
    if (!info.takes_extra) continue;
    for (const ExtraKind& extra : extra_kinds(options.table_rows, 5)) {
      other = options;
      other.extra = extra.maker;
      out.push_back({&info, other, std::string(info.name) + ", " + extra.name, extra.examples});
    }
  }
  return out;
}

template <class Real>
std::unique_ptr<Backbone<Real>> make(const Context& context, const Form& form) {
  if constexpr (std::is_same_v<Real, float>) {
    return form.info->make(context, form.options);
  } else {
    return form.info->make_double(context, form.options);
  }
}

/// Rows with histories of several lengths; the first has none and no brand.
HostFeatures features_for(int rows, const std::array<Id, kVocabularies>& table_rows, bool sequence) {
  TestNumbers numbers(8);
  HostFeatures features = random_features(numbers, rows, table_rows, 4, sequence);
  features.of(Field::brand)[0] = {0};
  for (const Field field : {Field::history_items, Field::history_brands, Field::history_categories}) {
    auto& bags = features.of(field);
    if (!sequence) {
      bags[0].clear();
    } else {
      bags.erase(bags.begin(), bags.begin() + features.first_position[1]);
    }
  }
  if (sequence) {
    const std::int64_t gone = features.first_position[1];
    for (std::size_t row = 1; row < features.first_position.size(); ++row)
      features.first_position[row] -= gone;
  }
  return features;
}

/// The same for a form, with examples where it reads some.
HostFeatures features_for(int rows, const Form& form, bool sequence) {
  if (!form.examples) return features_for(rows, form.options.table_rows, sequence);
  constexpr int kOfBatch = 5;
  HostFeatures features = features_for(rows + kOfBatch, form.options.table_rows, sequence);
  TestNumbers numbers(14);
  make_examples(numbers, features, kOfBatch, kExamples, kExamplePool);
  return features;
}

/// The rows of `features` in the given order, with all examples.
HostFeatures rows_of(const HostFeatures& features, std::vector<std::size_t> rows) {
  HostFeatures out;
  out.examples = features.examples;
  out.examples.of_row.clear();
  const auto each = static_cast<std::ptrdiff_t>(features.examples.each);
  for (const std::size_t row : rows) {
    const auto first = features.examples.of_row.begin() + static_cast<std::ptrdiff_t>(row) * each;
    out.examples.of_row.insert(out.examples.of_row.end(), first, first + each);
  }
  for (std::size_t row = features.rows(); row < features.of(Field::user).size(); ++row) rows.push_back(row);
  const bool sequence = !features.first_position.empty();
  if (sequence) out.first_position.push_back(0);
  for (const std::size_t row : rows) {
    for (int f = 0; f < kFields; ++f) {
      const auto field = static_cast<Field>(f);
      const auto first = features.of(field).begin();
      if (sequence && is_history(field)) {
        out.of(field).insert(out.of(field).end(), first + features.first_position[row],
                             first + features.first_position[row + 1]);
      } else {
        out.of(field).push_back(first[static_cast<std::ptrdiff_t>(row)]);
      }
    }
    if (sequence) {
      out.first_position.push_back(out.first_position.back() + features.first_position[row + 1] -
                                   features.first_position[row]);
    }
  }
  return out;
}

template <class Real>
std::vector<Real> row_weights(std::int64_t rows) {
  const std::vector<float> numbers = TestNumbers(9).many(static_cast<std::size_t>(rows), -1.0F, 1.0F);
  return {numbers.begin(), numbers.end()};
}

/// Gradient of a table [rows x width] from the gradients of the pooled vectors, occurrence by occurrence.
template <class Real>
std::vector<Real> table_gradient(const Context& context, const Embedding<Real>& embedding,
                                 const typename Embedding<Real>::Table& table, const HostFeatures& features) {
  const auto width = static_cast<std::size_t>(embedding.width());
  std::vector<Real> out(static_cast<std::size_t>(table.rows) * width);
  for (const auto& [key, occurrences] : plan_of(features, table.vocabulary)) {
    for (const auto& [f, bag] : occurrences) {
      const Tensor<Real>& d = embedding.gradient(static_cast<Field>(f));
      if (d.size() == 0) continue;  // a field that the backbone leaves out
      std::vector<Real> row(width);
      copy_to_host(context, row.data(), d.data() + bag * d.stride(), width * sizeof(Real));
      const auto length =
          static_cast<Real>(features.of(static_cast<Field>(f))[static_cast<std::size_t>(bag)].size());
      for (std::size_t k = 0; k < width; ++k)
        out[static_cast<std::size_t>(key) * width + k] += row[k] / length;
    }
  }
  return out;
}

/// Logits and all gradients of sum(row_weights * logits) in one training pass.
template <class Real>
struct Result {
  std::vector<Real> logits, parameters;
  std::vector<std::vector<Real>> tables;  // of all embeddings, one after another

  bool operator==(const Result&) const = default;
};

/// A gradient by every number of the vectors.
template <class Real>
RowVectors<Real> vector_weights(const Context& context, const RowVectors<Real>& of) {
  const std::vector<Real> both = row_weights<Real>(2 * of.users.size());
  const std::span<const Real> weights(both);
  const auto half = static_cast<std::size_t>(of.users.size());
  return {Tensor<Real>::from(context, of.users.rows(), of.users.cols(), weights.first(half)),
          Tensor<Real>::from(context, of.items.rows(), of.items.cols(), weights.subspan(half))};
}

/// What a loss acts on.
enum class ActsOn { logits, vectors_too };

template <class Real>
Result<Real> train_once(const Context& context, Backbone<Real>& model, const HostFeatures& features,
                        const std::vector<Real>& weights, ActsOn acts_on = ActsOn::logits) {
  const DeviceFeatures device(context, features);
  const FeatureBatch& batch = device.batch();
  std::unique_ptr<typename Backbone<Real>::Saved> saved;
  const Tensor<Real> logits = model.forward(context, batch, kTraining, &saved);
  EXPECT_EQ(logits.rows(), batch.rows);
  EXPECT_EQ(logits.cols(), 1);
  const auto d_logits = Tensor<Real>::from(context, batch.rows, 1, weights);
  if (acts_on == ActsOn::logits) {
    model.backward(context, batch, *saved, d_logits);
  } else {
    model.backward(context, batch, *saved, d_logits, vector_weights(context, model.vectors(*saved)));
  }
  Result<Real> result{logits.to_host(context), model.parameters().gradients().to_host(context), {}};
  for (const Embedding<Real>* embedding : model.embeddings()) {
    for (const auto& table : embedding->tables()) {
      result.tables.push_back(table_gradient(context, *embedding, table, features));
    }
  }
  return result;
}

template <class Real>
Result<Real> train_once(const Context& context, Backbone<Real>& model, const HostFeatures& features) {
  const auto rows = static_cast<std::int64_t>(features.rows());
  return train_once(context, model, features, row_weights<Real>(rows));
}

/// Adds U(-0.3, 0.3) to all parameters and tables: biases that start at 0 put the ReLUs of empty fields
/// exactly on their kinks.
void perturb(Backbone<double>& model) {
  TestNumbers numbers(10);
  const auto shake = [&](std::span<double> values) {
    for (double& x : values) x += static_cast<double>(numbers.in(-0.3F, 0.3F));
  };
  for (const auto& part : model.parameters().parts()) {
    if (part.trained) {
      shake({model.parameters().values().data() + part.offset, static_cast<std::size_t>(part.size)});
    }
  }
  for (Embedding<double>* embedding : model.embeddings()) {
    for (auto& table : embedding->tables()) shake({table.weights.data(), table.weights.size()});
  }
}

double inner_product(const Context& context, const Tensor<double>& a, const Tensor<double>& b) {
  const std::vector<double> x = values_of(context, a), y = values_of(context, b);
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

/// Every form with a loss of its logits, and every backbone's first with one of its vectors, too.
std::vector<std::pair<Form, ActsOn>> forms_and_losses() {
  std::vector<std::pair<Form, ActsOn>> out;
  for (const Form& form : forms(small_options())) {
    out.emplace_back(form, ActsOn::logits);
    if (form.label != form.info->name) continue;
    out.emplace_back(form, ActsOn::vectors_too);
    out.back().first.label += ", of its vectors too";
  }
  return out;
}

TEST(Backbones, GradientsAreThoseOfFiniteDifferences) {
  const Context context(Device::cpu, 1);
  for (const auto& each : forms_and_losses()) {
    const Form& form = each.first;
    const ActsOn acts_on = each.second;
    SCOPED_TRACE(form.label);
    const auto model = make<double>(context, form);
    perturb(*model);
    const HostFeatures features = features_for(9, form, model->wants_sequence());
    const DeviceFeatures device(context, features);
    Parameters<double>& parameters = model->parameters();
    std::fill_n(parameters.gradients().data(), parameters.size(), 7.0);  // must not be seen again
    // Norms of small tokens bend the loss within a step of the differences.
    const double tolerance = form.examples ? 5 * kGradientTolerance : kGradientTolerance;
    const std::vector<double> weights = row_weights<double>(device.batch().rows);
    const Result<double> result = train_once(context, *model, features, weights, acts_on);

    const auto loss = [&] {
      std::unique_ptr<Backbone<double>::Saved> saved;
      const std::vector<double> logits =
          model->forward(context, device.batch(), kTraining, &saved).to_host(context);
      double sum = 0;
      for (std::size_t k = 0; k < logits.size(); ++k) sum += weights[k] * logits[k];
      if (acts_on == ActsOn::logits) return sum;
      const RowVectors<double> vectors = model->vectors(*saved), by = vector_weights(context, vectors);
      return sum + inner_product(context, vectors.users, by.users) +
             inner_product(context, vectors.items, by.items);
    };
    for (const auto& part : parameters.parts()) {
      if (!part.trained) continue;
      const std::span<double> values(parameters.values().data() + part.offset,
                                     static_cast<std::size_t>(part.size));
      EXPECT_LT(gradient_error(values, {result.parameters.data() + part.offset, values.size()}, loss),
                tolerance)
          << part.name;
    }
    auto gradient = result.tables.begin();
    for (Embedding<double>* embedding : model->embeddings()) {
      for (auto& table : embedding->tables()) {
        const auto width = static_cast<std::size_t>(embedding->width());
        // Row 0 gets no gradient, though the brand's takes part in the logits.
        const std::span<double> values(table.weights.data() + width, gradient->size() - width);
        EXPECT_LT(gradient_error(values, std::span<const double>(*gradient).subspan(width), loss), tolerance)
            << table.name;
        ++gradient;
      }
    }
  }
}

/// The vectors that a loss acts on are those that the logit is the product of.
TEST(Backbones, ThatAreProductsGiveTheirFactors) {
  const Context context(Device::cpu, 1);
  int products = 0;
  for (const BackboneInfo& info : backbones()) {
    if (!info.is_product) continue;
    ++products;
    const auto model = info.make_double(context, small_options());
    const DeviceFeatures device(context, features_for(9, kBackboneRows, false));
    std::unique_ptr<Backbone<double>::Saved> saved;
    const std::vector<double> logits =
        model->forward(context, device.batch(), kTraining, &saved).to_host(context);
    const RowVectors<double> vectors = model->vectors(*saved);
    for (std::int64_t row = 0; row < std::ssize(logits); ++row) {
      EXPECT_TRUE(
          near(inner_product(context, vectors.users.row_range(row, 1), vectors.items.row_range(row, 1)),
               logits[static_cast<std::size_t>(row)], {1e-15, 1e-12}))
          << info.name;
    }
  }
  EXPECT_EQ(products, 2);
}

BackboneOptions larger_options() {
  BackboneOptions options = small_options();
  options.width = 16;
  options.hidden = {50, 21};
  options.cin_sizes = {20, 10};
  options.attention_width = 32;
  options.din_attention_hidden = {24, 16};
  return options;
}

TEST(Backbones, TrainingDoesNotDependOnTheNumberOfThreads) {
  for (const Form& form : forms(larger_options())) {
    SCOPED_TRACE(form.label);
    const auto run = [&](int threads) {
      const Context context(Device::cpu, threads);
      const auto model = make<float>(context, form);
      return train_once(context, *model, features_for(150, form, model->wants_sequence()));
    };
    const Result<float> one = run(1);
    EXPECT_TRUE(one == run(2));
    EXPECT_TRUE(one == run(1)) << "repeatable";
  }
}

/// What layers may leave out where logits have no gradient, as those of probe pairs, changes nothing: the
/// gradients are linear in the logits' ones.
TEST(Backbones, RowsWithoutAGradientAddNothing) {
  const Context context(Device::cpu, 2);
  for (const Form& form : forms(larger_options())) {
    SCOPED_TRACE(form.label);
    const auto model = make<double>(context, form);
    const HostFeatures features = features_for(60, form, model->wants_sequence());
    const std::vector<double> weights = row_weights<double>(60);
    std::vector<double> first = weights, last = weights;
    std::fill(first.begin() + 40, first.end(), 0.0);
    std::fill(last.begin(), last.begin() + 40, 0.0);
    const Result<double> all = train_once(context, *model, features, weights);
    Result<double> sum = train_once(context, *model, features, first);
    const Result<double> rest = train_once(context, *model, features, last);
    const auto add = [](std::vector<double>& to, const std::vector<double>& more) {
      std::transform(to.begin(), to.end(), more.begin(), to.begin(), std::plus<>());
    };
    add(sum.parameters, rest.parameters);
    expect_parts_near(model->parameters(), true, sum.parameters, all.parameters, 1e-12);
    for (std::size_t k = 0; k < all.tables.size(); ++k) {
      add(sum.tables[k], rest.tables[k]);
      EXPECT_LT(norm_error(sum.tables[k], all.tables[k]), 1e-12) << "table " << k;
    }
  }
}

TEST(Backbones, EvaluationOfARowDoesNotDependOnItsNeighbours) {
  const Context context(Device::cpu, 2);
  for (const Form& form : forms(small_options())) {
    SCOPED_TRACE(form.label);
    const auto model = make<double>(context, form);
    const HostFeatures features = features_for(6, form, model->wants_sequence());
    train_once(context, *model, features);  // running statistics leave their start
    const auto evaluate = [&](const std::vector<std::size_t>& rows) {
      const DeviceFeatures device(context, rows_of(features, rows));
      return model->forward(context, device.batch(), {}, nullptr).to_host(context);
    };
    const std::vector<double> together = evaluate({0, 1, 2, 3, 4, 5});
    const std::vector<double> reversed = evaluate({5, 4, 3, 2, 1, 0});
    for (std::size_t row = 0; row < together.size(); ++row) {
      EXPECT_TRUE(near(evaluate({row})[0], together[row], {1e-12, 1e-12}));
      EXPECT_TRUE(near(reversed[5 - row], together[row], {1e-12, 1e-12}));
    }
    EXPECT_GT(norm_error(together, reversed), 1e-6) << "all rows are alike: the test says nothing";
  }
}

/// `features` without the fields of the other side.
HostFeatures only(HostFeatures features, Side side) {
  for (int f = 0; f < kFields; ++f) {
    const auto field = static_cast<Field>(f);
    if (is_of_item(field) == (side == Side::item)) continue;
    auto& bags = features.of(field);
    if (is_history(field) && !features.first_position.empty()) {
      bags.clear();
    } else {
      for (auto& bag : bags) bag.clear();
    }
  }
  if (side == Side::item) std::ranges::fill(features.first_position, 0);
  return features;
}

/// Every row of `users` with every row of `items`, users outermost.
HostFeatures pairs_of(const HostFeatures& users, const HostFeatures& items) {
  std::vector<std::size_t> rows;
  const std::size_t n_users = users.of(Field::user).size(), n_items = items.of(Field::item).size();
  for (std::size_t row = 0; row < n_users * n_items; ++row) rows.push_back(row / n_items);
  HostFeatures out = rows_of(users, rows);
  for (const Field field : {Field::item, Field::brand, Field::categories}) {
    for (std::size_t row = 0; row < rows.size(); ++row) out.of(field)[row] = items.of(field)[row % n_items];
  }
  return out;
}

/// rank against forward over all pairs: users with and without history, more items than fit a tile.
template <class Real>
void expect_ranking_is_forward(const Context& context, double tolerance) {
  for (const Form& form : forms(larger_options())) {
    SCOPED_TRACE(form.label);
    const auto model = make<Real>(context, form);
    const bool sequence = model->wants_sequence();
    if constexpr (std::is_same_v<Real, double>) perturb(*model);
    train_once(context, *model, features_for(40, form, sequence));  // running statistics leave their start
    const HostFeatures users = features_for(4, kBackboneRows, sequence),
                       items = features_for(300, kBackboneRows, sequence);
    const DeviceFeatures of_users(context, only(users, Side::user)),
        of_items(context, only(items, Side::item)), pairs(context, pairs_of(users, items));
    const auto catalogue = model->catalogue(context, of_items.batch());
    // One that ranks by forward alone is to be named here.
    const bool by_forward = form.examples || (form.info->name == "autoint" && form.options.extra != nullptr);
    ASSERT_EQ(catalogue == nullptr, by_forward);
    if (by_forward) continue;
    const Tensor<Real> logits = model->rank(context, *catalogue, of_users.batch());
    ASSERT_EQ(logits.rows(), 4);
    ASSERT_EQ(logits.cols(), 300);
    const std::vector<Real> expected = model->forward(context, pairs.batch(), {}, nullptr).to_host(context);
    EXPECT_LT(norm_error(logits.to_host(context), expected), tolerance);
    EXPECT_GT(norm_error(expected, std::vector<Real>(expected.size(), expected[0])), 1e-3)
        << "all rows are alike: the test says nothing";
  }
}

TEST(Backbones, RankingIsForward) {
  expect_ranking_is_forward<double>(Context(Device::cpu, 2), 1e-12);
  expect_ranking_is_forward<float>(Context(Device::cpu, 2), 1e-5);
}
TEST(BackbonesCuda, RankingIsForward) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_ranking_is_forward<float>(Context(Device::cuda), 1e-5);
}

/// float on `context` against double on the CPU, from the same start.
void expect_float_is_right(const Context& context) {
  const Context cpu(Device::cpu, 2);
  for (const Form& form : forms(larger_options())) {
    SCOPED_TRACE(form.label);
    const auto reference_model = make<double>(cpu, form);
    const HostFeatures features = features_for(150, form, reference_model->wants_sequence());
    const Result<double> reference = train_once(cpu, *reference_model, features);
    const auto model = make<float>(context, form);
    const Result<float> result = train_once(context, *model, features);
    constexpr double kTolerance = 1e-4;
    EXPECT_LT(norm_error(result.logits, reference.logits), kTolerance);
    expect_parts_near(reference_model->parameters(), true, result.parameters, reference.parameters,
                      kTolerance);
    ASSERT_EQ(result.tables.size(), reference.tables.size());
    for (std::size_t k = 0; k < result.tables.size(); ++k) {
      EXPECT_LT(norm_error(result.tables[k], reference.tables[k]), kTolerance) << "table " << k;
    }
  }
}

TEST(Backbones, FloatIsRight) {
  expect_float_is_right(Context(Device::cpu, 2));
}
TEST(BackbonesCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_float_is_right(Context(Device::cuda));
}

TEST(Backbones, AreFoundByTheirNames) {
  std::set<std::string_view> names;
  for (const BackboneInfo& info : backbones()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(find_backbone(info.name), &info);
    EXPECT_FALSE(info.title.empty() || info.summary.empty()) << info.name;
  }
  EXPECT_EQ(find_backbone("DCNv2"), nullptr);
  EXPECT_EQ(find_backbone(""), nullptr);
}

TEST(Backbones, TellTheirTablesAndParametersApart) {
  const Context context(Device::cpu, 2);
  for (const Form& form : forms(small_options())) {
    SCOPED_TRACE(form.label);
    const auto model = make<float>(context, form);
    std::set<std::string> names;
    for (const auto& part : model->parameters().parts()) {
      EXPECT_TRUE(names.insert(part.name).second) << part.name;
    }
    for (const Embedding<float>* embedding : model->embeddings()) {
      for (const auto& table : embedding->tables()) {
        EXPECT_TRUE(names.insert(table.name).second) << table.name;
        EXPECT_EQ(table.rows, kBackboneRows[static_cast<std::size_t>(table.vocabulary)]) << table.name;
      }
    }
    EXPECT_FALSE(names.empty());
  }
}

/// A bias that is not trained must not change where everything else starts.
TEST(Backbones, AFrozenBiasMovesNoOtherDraw) {
  const Context context(Device::cpu, 1);
  BackboneOptions options = small_options();
  int with_bias = 0;
  for (const BackboneInfo& info : backbones()) {
    options.frozen_bias = false;
    const auto trained = info.make(context, options);
    options.frozen_bias = true;
    const auto frozen = info.make(context, options);
    for (const auto& part : trained->parameters().parts()) {
      const Parameters<float>& other = frozen->parameters();
      const int at = other.find(part.name);
      const auto& twin = other.parts()[static_cast<std::size_t>(at)];
      if (part.trained != twin.trained) {
        ++with_bias;
        EXPECT_NE(*other.value(at), *trained->parameters().value(trained->parameters().find(part.name)));
        continue;
      }
      const float* values = trained->parameters().value(trained->parameters().find(part.name));
      EXPECT_TRUE(std::equal(values, values + part.size, other.value(at))) << info.name << ", " << part.name;
    }
  }
  EXPECT_EQ(with_bias, 2) << "DeepFM and xDeepFM have a bias of their own";
}

TEST(Backbones, RefuseSizesOfZero) {
  const Context context(Device::cpu, 2);
  const auto error = [&](const BackboneInfo& info, const BackboneOptions& options) {
    return error_of([&] { info.make(context, options); });
  };
  for (const BackboneInfo& info : backbones()) {
    SCOPED_TRACE(info.name);
    BackboneOptions options = small_options();
    options.width = 0;
    EXPECT_THAT(error(info, options), HasSubstr("must be at least 1"));
    options = small_options();
    options.table_rows[0] = 0;
    EXPECT_THAT(error(info, options), HasSubstr("has no rows"));
    const auto small = info.make(context, small_options());
    const bool deep = std::ranges::any_of(small->parameters().parts(),
                                          [](const auto& part) { return part.name.starts_with("deep"); });
    if (!deep) continue;
    options = small_options();
    options.hidden = {6, 0};
    EXPECT_THAT(error(info, options), HasSubstr("has an extent of 0"));
    options.hidden = {};
    EXPECT_THAT(error(info, options), HasSubstr("no hidden layers"));
    options = small_options();
    options.dropout = 1;
    EXPECT_THAT(error(info, options), HasSubstr("dropout is 1"));
  }
}

}  // namespace
}  // namespace sllmr
