#include "models/adam/adam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "models/backbones/fields.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/features.h"

namespace sllmr {
namespace {

using testing::HasSubstr;
using Kind = EmbeddingInitial::Kind;

constexpr std::array<Id, kVocabularies> kAdamRows{40, 150, 9, 70};
const std::vector<Field> kAdamFields(kAllFields.begin(), kAllFields.end());
const std::vector<Field> kFirstOrderFields{Field::user, Field::item, Field::brand, Field::categories};

/// Parameters and tables without a network. Row 0 is not zero in the first-order tables.
template <class Real>
class Tables : public Backbone<Real> {
 public:
  Tables(const Context& context, int width, std::uint64_t seed = 4)
      : wide_(context, "embedding", width, kAdamFields, kAdamRows, {}, seed),
        narrow_(context, "first_order", 1, kFirstOrderFields, kAdamRows, {Kind::xavier}, seed) {
    this->parameters_.add("weight", {7, 13}, Initial::normal(1));
    this->parameters_.add("bias", {7}, Initial::uniform(1));
    this->parameters_.add_state("mean", {7}, Initial::constant(0));
    this->parameters_.allocate(context, seed);
  }
  Tensor<Real> forward(const Context&, const FeatureBatch&, const Pass&,
                       std::unique_ptr<typename Backbone<Real>::Saved>*) const override {
    return {};
  }
  void backward(const Context&, const FeatureBatch&, const typename Backbone<Real>::Saved&,
                const Tensor<Real>&, const RowVectors<Real>&) override {}
  std::vector<Embedding<Real>*> embeddings() override { return {&wide_, &narrow_}; }

 private:
  Embedding<Real> wide_, narrow_;
};

/// What backward leaves: gradients of the slab and of the bags' vectors of both sets of tables; empty for a
/// field that a set does not look up.
struct Gradients {
  std::vector<double> slab;
  std::array<std::array<std::vector<double>, kFields>, 2> fields;
};

template <class Real>
Gradients random_gradients(TestNumbers& numbers, Backbone<Real>& backbone, const HostFeatures& features) {
  const auto many = [&](std::size_t n) {
    const std::vector<float> values = numbers.many(n, -0.1F, 0.1F);
    return std::vector<double>(values.begin(), values.end());
  };
  Gradients gradients;
  gradients.slab.resize(static_cast<std::size_t>(backbone.parameters().size()));
  for (const auto& part : backbone.parameters().parts()) {
    const std::vector<double> values = many(static_cast<std::size_t>(part.size));
    if (part.trained) std::ranges::copy(values, gradients.slab.begin() + part.offset);
  }
  for (std::size_t set = 0; set < 2; ++set) {
    for (const Field field : set == 0 ? kAdamFields : kFirstOrderFields) {
      const int width = backbone.embeddings()[set]->width();
      gradients.fields[set][static_cast<std::size_t>(field)] =
          many(features.of(field).size() * static_cast<std::size_t>(width));
    }
  }
  return gradients;
}

template <class Real>
void hand_over(const Context& context, Backbone<Real>& backbone, const Gradients& gradients) {
  const std::vector<Real> slab(gradients.slab.begin(), gradients.slab.end());
  backbone.parameters().gradients().assign(context, slab);
  for (std::size_t set = 0; set < 2; ++set) {
    Embedding<Real>& embedding = *backbone.embeddings()[set];
    for (const Field field : kAdamFields) {
      const auto& values = gradients.fields[set][static_cast<std::size_t>(field)];
      if (values.empty()) continue;
      const std::vector<Real> d_out(values.begin(), values.end());
      const auto bags = static_cast<std::int64_t>(values.size()) / embedding.width();
      embedding.set_gradient(field, Tensor<Real>::from(context, bags, embedding.width(), d_out));
    }
  }
}

/// A parameter vector and its Adam state.
template <class Real>
struct State {
  std::vector<Real> weights, first, second;
  std::vector<std::int32_t> steps;  // by row, where rows count their own
  double l2 = 0;

  bool operator==(const State&) const = default;
};

/// Every row in every step. With `fused`, rounded as models/adam/kernels.h says, otherwise as the formula
/// stands.
template <class Real>
class NaiveAdam {
 public:
  NaiveAdam(const Context& context, Backbone<Real>& backbone, const AdamOptions& options, bool fused)
      : options_(options), fused_(fused) {
    const auto add = [&](const Buffer<Real>& buffer, std::size_t rows, double l2) {
      const std::vector<Real> weights = buffer.to_host(context);
      states_.push_back({weights, std::vector<Real>(weights.size()), std::vector<Real>(weights.size()),
                         std::vector<std::int32_t>(rows), l2});
    };
    add(backbone.parameters().values(), 1, options.l2);
    for (Embedding<Real>* embedding : backbone.embeddings()) {
      for (const auto& table : embedding->tables()) {
        add(table.weights, static_cast<std::size_t>(table.rows), options.embedding_l2.value_or(options.l2));
      }
    }
  }

  void step(const HostFeatures& features, const Gradients& gradients) {
    ++steps_;
    update(states_[0], 0, {gradients.slab.begin(), gradients.slab.end()}, steps_);
    for (std::size_t set = 0; set < 2; ++set) {
      for (int v = 0; v < kVocabularies; ++v) {
        const HostPlan plan = plan_of(features, static_cast<Vocabulary>(v));
        State<Real>& table = states_[1 + set * kVocabularies + static_cast<std::size_t>(v)];
        const std::size_t width = table.weights.size() / table.steps.size();
        for (std::size_t row = 0; row < table.steps.size(); ++row) {
          std::vector<Real> gradient(width);
          const auto found = plan.find(static_cast<Id>(row));
          const bool touched =
              found != plan.end() && add_row(features, gradients.fields[set], found->second, gradient);
          if (options_.lazy && !touched) continue;
          const std::int32_t t = options_.lazy ? ++table.steps[row] : steps_;
          update(table, row * width, gradient, t);
        }
      }
    }
  }
  void set_steps(std::int32_t steps) { steps_ = steps; }
  void set_learning_rate(double rate) { options_.learning_rate = rate; }

  /// The slab, then the tables.
  const std::vector<State<Real>>& states() const { return states_; }

 private:
  bool add_row(const HostFeatures& features, const std::array<std::vector<double>, kFields>& gradients,
               const std::vector<std::pair<int, int>>& occurrences, std::vector<Real>& gradient) const {
    bool touched = false;
    for (const auto& [f, bag] : occurrences) {
      const auto& from = gradients[static_cast<std::size_t>(f)];
      if (from.empty()) continue;
      touched = true;
      const std::size_t at = static_cast<std::size_t>(bag);
      const Real share = Real(1) / static_cast<Real>(features.bags[static_cast<std::size_t>(f)][at].size());
      for (std::size_t d = 0; d < gradient.size(); ++d) {
        gradient[d] = std::fma(share, static_cast<Real>(from[at * gradient.size() + d]), gradient[d]);
      }
    }
    return touched;
  }

  /// Weights first .. first + n - 1 with their gradients, as their step t.
  void update(State<Real>& state, std::size_t first, const std::vector<Real>& gradients,
              std::int32_t t) const {
    const double rest1 = 1 - std::pow(0.9, t), rest2 = 1 - std::pow(0.999, t);
    for (std::size_t k = 0; k < gradients.size(); ++k) update(state, first + k, gradients[k], rest1, rest2);
  }

  void update(State<Real>& state, std::size_t k, Real gradient, double rest1, double rest2) const {
    Real &w = state.weights[k], &m = state.first[k], &v = state.second[k];
    if (!fused_) {
      const double g = static_cast<double>(gradient) + state.l2 * static_cast<double>(w);
      m = static_cast<Real>(0.9 * static_cast<double>(m) + 0.1 * g);
      v = static_cast<Real>(0.999 * static_cast<double>(v) + 0.001 * g * g);
      w -= static_cast<Real>(options_.learning_rate / rest1 * static_cast<double>(m) /
                             (std::sqrt(static_cast<double>(v)) / std::sqrt(rest2) + 1e-8));
      return;
    }
    const Real g = std::fma(static_cast<Real>(state.l2), w, gradient);
    m = std::fma(static_cast<Real>(1 - 0.9), g - m, m);
    if (std::fabs(m) < static_cast<Real>(1e-30)) m = 0;
    const Real decayed = static_cast<Real>(0.999) * v;
    v = std::fma(static_cast<Real>(1 - 0.999) * g, g, decayed);
    if (v < static_cast<Real>(1e-36)) v = 0;
    const Real move = static_cast<Real>(options_.learning_rate / rest1) * m;
    w -= move / std::fma(std::sqrt(v), static_cast<Real>(1 / std::sqrt(rest2)), static_cast<Real>(1e-8));
  }

  AdamOptions options_;
  bool fused_;
  std::vector<State<Real>> states_;
  std::int32_t steps_ = 0;
};

/// A backbone in training on random batches of few rows, some pooled and some sequences.
template <class Real>
struct Training {
  const Context& context;
  Tables<Real> tables;
  Adam<Real> adam;
  TestNumbers numbers{9};

  Training(const Context& on, int width, const AdamOptions& options)
      : context(on), tables(on, width), adam(on, tables, options) {}

  HostFeatures next_features() { return random_features(numbers, 5, kAdamRows, 3, numbers.id(0, 2) == 0); }
  Gradients step(const HostFeatures& features) {
    const DeviceFeatures device(context, features);
    const Gradients gradients = random_gradients(numbers, tables, features);
    adam.begin(context, device.batch());
    hand_over(context, tables, gradients);
    adam.step(context, device.batch());
    return gradients;
  }
  void train(int steps, NaiveAdam<Real>* beside = nullptr) {
    for (int k = 0; k < steps; ++k) {
      const HostFeatures features = next_features();
      const Gradients gradients = step(features);
      if (beside != nullptr) beside->step(features, gradients);
    }
  }
  /// Weights of the slab and of each table.
  std::vector<std::vector<Real>> weights() {
    std::vector<std::vector<Real>> out{tables.parameters().values().to_host(context)};
    for (Embedding<Real>* embedding : tables.embeddings()) {
      for (const auto& table : embedding->tables()) out.push_back(table.weights.to_host(context));
    }
    return out;
  }
};

/// Every moment, the slab's and then those of the tables, as named_buffers gives them.
template <class Real>
std::vector<std::vector<Real>> moments(Training<Real>& training) {
  std::vector<std::vector<Real>> out;
  for (const NamedBuffer& named : training.adam.named_buffers()) {
    const auto* buffer = std::get_if<Buffer<Real>*>(&named.buffer);
    if (buffer != nullptr) out.push_back((*buffer)->to_host(training.context));
  }
  return out;
}

void expect_same_bits(Training<float>& training, const NaiveAdam<float>& naive) {
  const auto weights = training.weights(), state = moments(training);
  ASSERT_EQ(weights.size(), naive.states().size());
  ASSERT_EQ(state.size(), 2 * weights.size());
  for (std::size_t k = 0; k < weights.size(); ++k) {
    EXPECT_EQ(weights[k], naive.states()[k].weights) << "weights " << k;
    EXPECT_EQ(state[2 * k], naive.states()[k].first) << "m " << k;
    EXPECT_EQ(state[2 * k + 1], naive.states()[k].second) << "v " << k;
  }
}

std::vector<Id> keys_on_host(const Context& context, const TablePlan& plan) {
  std::vector<Id> keys(static_cast<std::size_t>(plan.n));
  copy_to_host(context, keys.data(), plan.keys, keys.size() * sizeof(Id));
  return keys;
}

/// A step with the rows' gradients summed up beforehand is the step with the batch.
void expect_steps_of_rows(const Context& context, int width, bool lazy) {
  const AdamOptions options{0.02, 0.01, lazy};
  Training<float> by_batch(context, width, options), by_rows(context, width, options);
  for (int step = 0; step < 20; ++step) {
    const HostFeatures features = by_batch.next_features();
    by_rows.next_features();
    const Gradients gradients = by_batch.step(features);
    random_gradients(by_rows.numbers, by_rows.tables, features);  // the same numbers drawn

    const DeviceFeatures device(context, features);
    by_rows.adam.begin(context, device.batch());
    hand_over(context, by_rows.tables, gradients);
    std::vector<Buffer<Id>> keys;
    std::vector<Buffer<float>> sums;
    std::vector<Adam<float>::RowSums> rows;
    for (Embedding<float>* embedding : by_rows.tables.embeddings()) {
      for (const auto& table : embedding->tables()) {
        const HostPlan plan = plan_of(features, table.vocabulary);
        const TablePlan& on_device = device.batch().plans[static_cast<std::size_t>(table.vocabulary)];
        std::vector<Id> own_keys;
        std::vector<std::int32_t> chosen;
        AdamRowGradients<float> args{};
        for (std::size_t f = 0; f < kFields; ++f) {
          const Tensor<float>& gradient = embedding->gradient(static_cast<Field>(f));
          if (gradient.size() != 0)
            args.gradients[f] = {gradient.data(), gradient.stride(), device.batch().fields[f].length};
        }
        const std::vector<Id> all_keys = keys_on_host(context, on_device);
        for (std::size_t k = 0; k < all_keys.size(); ++k) {
          const bool counts = std::ranges::any_of(plan.at(all_keys[k]), [&](const auto& occurrence) {
            return args.gradients[occurrence.first].data != nullptr;
          });
          if (!counts) continue;
          own_keys.push_back(all_keys[k]);
          chosen.push_back(static_cast<std::int32_t>(k));
        }
        args.table = {.weights = const_cast<float*>(table.weights.data()),
                      .width = embedding->width(),
                      .n = on_device.n,
                      .keys = on_device.keys,
                      .offsets = on_device.offsets,
                      .field = on_device.field,
                      .row = on_device.row};
        const Buffer<std::int32_t> device_chosen(context, std::span<const std::int32_t>(chosen));
        args.rows = device_chosen.data();
        keys.emplace_back(context, std::span<const Id>(own_keys));
        sums.emplace_back(context, own_keys.size() * static_cast<std::size_t>(embedding->width()));
        args.out = {sums.back().data(), std::ssize(own_keys), embedding->width()};
        run(context, args);
        context.synchronize();
        rows.push_back({std::ssize(own_keys), keys.back().data(), sums.back().data()});
      }
    }
    by_rows.adam.step_rows(context, rows);
  }
  by_batch.adam.flush(context);
  by_rows.adam.flush(context);
  EXPECT_EQ(by_rows.weights(), by_batch.weights());
  EXPECT_EQ(moments(by_rows), moments(by_batch));
}

TEST(Adam, StepsOfRowsAreThoseOfTheirBatch) {
  for (const bool lazy : {false, true}) {
    for (const int width : {5, 32, 40}) expect_steps_of_rows(Context(Device::cpu, 2), width, lazy);
  }
}
TEST(Adam, IsTheFormulaOfPyTorch) {
  const Context context(Device::cpu, 1);
  for (const bool lazy : {false, true}) {
    for (const double l2 : {0.0, 0.01}) {
      Training<double> training(context, 5, {0.02, l2, lazy});
      NaiveAdam<double> naive(context, training.tables, {0.02, l2, lazy}, false);
      training.train(40, &naive);
      training.adam.flush(context);
      EXPECT_EQ(training.adam.steps(), 40);
      const auto weights = training.weights();
      for (std::size_t k = 0; k < weights.size(); ++k) {
        EXPECT_TRUE(all_near(weights[k], naive.states()[k].weights, {1e-11, 1e-9})) << k;
      }
    }
  }
}

/// What the sparse steps are for: no bit differs from a pass over all rows in every step.
void expect_dense_bits(const Context& context, int width, double l2, int steps) {
  SCOPED_TRACE("width " + std::to_string(width) + ", L2 " + std::to_string(l2));
  Training<float> training(context, width, {0.01, l2});
  NaiveAdam<float> naive(context, training.tables, {0.01, l2}, true);
  training.train(steps, &naive);
  training.adam.flush(context);
  expect_same_bits(training, naive);
}

TEST(Adam, DenseStepsHaveTheBitsOfAPassOverAllRows) {
  const Context context(Device::cpu, 1);
  for (const int width : {1, 4, 32, 45, 64}) {
    for (const double l2 : {0.0, 1e-4, 0.03}) expect_dense_bits(context, width, l2, 150);
  }
}

void expect_l2_of_tables(const Context& context) {
  for (const double l2 : {0.0, 0.02}) {
    const AdamOptions options{.learning_rate = 0.01, .l2 = 0.02 - l2, .embedding_l2 = l2};
    Training<float> training(context, 8, options);
    NaiveAdam<float> naive(context, training.tables, options, true);
    training.train(100, &naive);
    training.adam.flush(context);
    expect_same_bits(training, naive);
  }
}

/// Rows that are behind when the rate changes catch up with the rate that their steps had.
void expect_new_rates(const Context& context) {
  for (const bool lazy : {false, true}) {
    const AdamOptions options{0.01, 0.01, lazy};
    Training<float> training(context, 8, options);
    NaiveAdam<float> naive(context, training.tables, options, true);
    for (const double rate : {0.05, 0.001, 0.02}) {
      training.train(30, &naive);
      training.adam.set_learning_rate(context, rate);
      naive.set_learning_rate(rate);
    }
    training.train(30, &naive);
    training.adam.flush(context);
    expect_same_bits(training, naive);
    EXPECT_THAT(error_of([&] { training.adam.set_learning_rate(context, 0); }), HasSubstr("above 0"));
  }
}

TEST(Adam, TheTablesMayHaveAnL2OfTheirOwn) {
  expect_l2_of_tables(Context(Device::cpu, 1));
}
TEST(Adam, ANewRateIsThatOfTheStepsToCome) {
  expect_new_rates(Context(Device::cpu, 1));
}

TEST(Adam, RowsThatAreReadAreUpToDate) {
  const Context context(Device::cpu, 1);
  Training<float> training(context, 8, {0.01, 0.01});
  NaiveAdam<float> naive(context, training.tables, {0.01, 0.01}, true);
  bool some_are_behind = false;
  for (int k = 0; k < 100; ++k) {
    training.train(1, &naive);
    const HostFeatures features = training.next_features();
    const DeviceFeatures device(context, features);
    training.adam.begin(context, device.batch());
    const auto weights = training.weights();
    EXPECT_EQ(weights[0], naive.states()[0].weights);
    for (std::size_t table = 1; table < weights.size(); ++table) {
      const auto& expected = naive.states()[table].weights;
      const std::size_t width = expected.size() / naive.states()[table].steps.size();
      some_are_behind |= weights[table] != expected;
      for (const auto& [row, occurrences] :
           plan_of(features, static_cast<Vocabulary>((table - 1) % kVocabularies))) {
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(row) * static_cast<std::ptrdiff_t>(width);
        EXPECT_TRUE(std::equal(weights[table].begin() + at,
                               weights[table].begin() + at + static_cast<std::ptrdiff_t>(width),
                               expected.begin() + at))
            << "step " << k << ", table " << table << ", row " << row;
      }
    }
  }
  EXPECT_TRUE(some_are_behind) << "every step passed over all rows";
}

TEST(Adam, NoRowFallsBehindByMoreThanASweep) {
  const Context context(Device::cpu, 1);
  Training<float> training(context, 4, {0.01, 0.01});
  training.train(3 * kAdamSweep);
  for (const NamedBuffer& named : training.adam.named_buffers()) {
    if (!std::holds_alternative<Buffer<std::int32_t>*>(named.buffer)) continue;
    const auto steps = std::get<Buffer<std::int32_t>*>(named.buffer)->to_host(context);
    EXPECT_GE(*std::ranges::min_element(steps), training.adam.steps() - kAdamSweep) << named.name;
    EXPECT_LE(*std::ranges::max_element(steps), training.adam.steps()) << named.name;
  }
}

TEST(Adam, MomentsThatHaveDecayedAreZeroAndStaySo) {
  const Context context(Device::cpu, 1);
  for (const double l2 : {0.0, 1e-4}) {
    Training<float> training(context, 4, {0.01, l2});
    NaiveAdam<float> naive(context, training.tables, {0.01, l2}, true);
    training.train(1, &naive);
    // A long time in which almost no row has a gradient.
    const HostFeatures features = {{{{{1}}, {{1}}, {{1}}, {{1}}, {{1}}, {{1}}, {{1}}}}, {}};
    for (int k = 0; k < 900; ++k) naive.step(features, training.step(features));
    training.adam.flush(context);
    expect_same_bits(training, naive);
    const std::vector<float>& m = naive.states()[2].first;
    EXPECT_EQ(std::all_of(m.begin() + 8, m.end(), [](float x) { return x == 0; }), l2 == 0);
  }
}

TEST(Adam, TheFactorsAreRightBeyondTheirTable) {
  const Context context(Device::cpu, 1);
  for (const std::int32_t steps : {15000, 17000, 100000}) {
    Training<float> training(context, 4, {0.01, 0.01, false});
    for (const NamedBuffer& named : training.adam.named_buffers()) {
      if (!std::holds_alternative<Buffer<std::int32_t>*>(named.buffer)) continue;
      auto* buffer = std::get<Buffer<std::int32_t>*>(named.buffer);
      buffer->assign(context, std::vector<std::int32_t>(buffer->size(), steps - 1));
    }
    training.adam.set_steps(context, steps - 1);
    NaiveAdam<float> naive(context, training.tables, {0.01, 0.01, false}, true);
    naive.set_steps(steps - 1);
    training.train(3, &naive);
    training.adam.flush(context);
    expect_same_bits(training, naive);
  }
}

TEST(Adam, LazyLeavesRowsWithoutAGradientAlone) {
  const Context context(Device::cpu, 1);
  for (const int width : {4, 32}) {
    Training<float> training(context, width, {0.01, 0.02, true});
    NaiveAdam<float> naive(context, training.tables, {0.01, 0.02, true}, true);
    training.train(60, &naive);
    expect_same_bits(training, naive);
    const auto before = training.weights();
    training.adam.flush(context);
    EXPECT_EQ(before, training.weights());
    std::size_t k = 0;
    for (const NamedBuffer& named : training.adam.named_buffers()) {
      if (!std::holds_alternative<Buffer<std::int32_t>*>(named.buffer)) continue;
      EXPECT_EQ(std::get<Buffer<std::int32_t>*>(named.buffer)->to_host(context), naive.states()[++k].steps);
    }
  }
}

TEST(Adam, ARowThatOnlyHistoriesTouchHasNoFirstOrderGradient) {
  const Context context(Device::cpu, 1);
  // Item 5 and brand 3 stand in a history alone; brand 0 is "none".
  const HostFeatures features = {{{{{1}}, {{2}}, {{0}}, {{}}, {{5}}, {{3}}, {{}}}}, {}};
  for (const bool lazy : {false, true}) {
    Training<double> training(context, 4, {0.01, 0.02, lazy});
    const auto before = training.weights();
    training.step(features);
    training.adam.flush(context);
    const auto after = training.weights();
    // Tables: slab, user, item, brand, category, then the same of the first order.
    EXPECT_NE(after[2][5 * 4], before[2][5 * 4]) << "the embedding has the history's gradient";
    EXPECT_NE(after[3][3 * 4], before[3][3 * 4]);
    EXPECT_NE(after[6][2], before[6][2]);
    for (const auto& [table, row] : {std::pair<std::size_t, std::size_t>{6, 5}, {7, 3}, {7, 0}, {8, 1}}) {
      // L2 alone: the first step of Adam is the rate against the gradient's sign.
      const double w = before[table][row], step = lazy ? 0 : std::copysign(0.01, w);
      EXPECT_TRUE(near(after[table][row], w - step, {1e-6, 0})) << table << ", " << row;
    }
  }
}

TEST(Adam, Row0HasNoGradientButDecays) {
  const Context context(Device::cpu, 1);
  Training<float> training(context, 4, {0.01, 0.02, false});
  const auto before = training.weights();
  training.train(30);
  training.adam.flush(context);
  const auto after = training.weights();
  for (std::size_t table = 1; table <= 4; ++table) {
    EXPECT_TRUE(std::all_of(after[table].begin(), after[table].begin() + 4, [](float x) { return x == 0; }))
        << "a row of zeros stays zero";
  }
  for (std::size_t table = 5; table <= 8; ++table) {
    EXPECT_LT(std::fabs(after[table][0]), std::fabs(before[table][0])) << table;
  }
}

template <class Real>
void expect_to_continue(const Context& context) {
  for (const bool lazy : {false, true}) {
    const AdamOptions options{0.01, 0.01, lazy};
    Training<Real> whole(context, 8, options), first(context, 8, options);
    whole.train(90);
    first.train(37);  // rows are behind now

    Training<Real> second(context, 8, options);
    const auto copy_all = [&](std::vector<NamedBuffer> from, std::vector<NamedBuffer> to) {
      ASSERT_EQ(from.size(), to.size());
      for (std::size_t k = 0; k < from.size(); ++k) {
        EXPECT_EQ(from[k].name, to[k].name);
        EXPECT_EQ(from[k].shape, to[k].shape);
        std::visit(
            [&](auto* source) {
              using Buffers = std::remove_pointer_t<decltype(source)>;
              auto values = source->to_host(context);
              std::get<Buffers*>(to[k].buffer)->assign(context, values);
            },
            from[k].buffer);
      }
    };
    copy_all(named_buffers(first.tables), named_buffers(second.tables));
    copy_all(first.adam.named_buffers(), second.adam.named_buffers());
    second.adam.set_steps(context, first.adam.steps());
    second.numbers = first.numbers;
    second.train(53);
    EXPECT_EQ(whole.weights(), second.weights());
    EXPECT_EQ(moments(whole), moments(second));
  }
}

TEST(Adam, ContinuesFromItsBuffersBitForBit) {
  const Context context(Device::cpu, 1);
  expect_to_continue<float>(context);
  expect_to_continue<double>(context);
}

TEST(Adam, NamesEveryBuffer) {
  const Context context(Device::cpu, 1);
  Training<float> training(context, 8, {});
  std::vector<std::string> names;
  for (const NamedBuffer& named : named_buffers(training.tables)) names.push_back(named.name);
  for (const NamedBuffer& named : training.adam.named_buffers()) names.push_back(named.name);
  EXPECT_EQ(names.size(), 2U + 8 + 2 + 3 * 8);
  EXPECT_EQ(names[0], "parameters");
  EXPECT_EQ(names[1], "state");
  EXPECT_EQ(names[2], "embedding.user");
  EXPECT_EQ(names[9], "first_order.category");
  EXPECT_EQ(names[10], "adam.first");
  EXPECT_EQ(names[12], "adam.embedding.user.first");
  EXPECT_EQ(names[14], "adam.embedding.user.steps");
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

TEST(Adam, TheNumberOfThreadsChangesNoBit) {
  const Context one(Device::cpu, 1), two(Device::cpu, 2);
  Training<float> a(one, 32, {0.01, 0.01}), b(two, 32, {0.01, 0.01});
  a.train(40);
  b.train(40);
  EXPECT_EQ(a.weights(), b.weights());
  EXPECT_EQ(moments(a), moments(b));
}

TEST(Adam, RefusesWhatHasNoMeaning) {
  const Context context(Device::cpu, 1);
  Tables<float> tables(context, 4);
  const auto error = [&](double rate, double l2) {
    return error_of([&] { Adam<float>(context, tables, {rate, l2}); });
  };
  EXPECT_THAT(error(0, 0), HasSubstr("learning rate"));
  EXPECT_THAT(error(-1, 0), HasSubstr("learning rate"));
  EXPECT_THAT(error(std::nan(""), 0), HasSubstr("learning rate"));
  EXPECT_THAT(error(0.1, -1), HasSubstr("L2"));
  EXPECT_THAT(error(0.1, HUGE_VAL), HasSubstr("L2"));

  Training<float> training(context, 4, {});
  const HostFeatures features = training.next_features();
  const DeviceFeatures device(context, features);
  EXPECT_THAT(error_of([&] { training.adam.step(context, device.batch()); }), HasSubstr("begin"));
  FeatureBatch without = device.batch();
  without.plans = {};
  EXPECT_THAT(error_of([&] { training.adam.begin(context, without); }), HasSubstr("no plans"));
  training.adam.begin(context, device.batch());
  training.tables.embeddings()[0]->set_gradient(Field::user, Tensor<float>(context, 3, 4));
  EXPECT_THAT(error_of([&] { training.adam.step(context, device.batch()); }), HasSubstr("as many rows"));
  EXPECT_THAT(error_of([&] { training.adam.set_steps(context, -1); }), HasSubstr("negative"));
  // Rows at step 0, of dense Adam, which would have to catch up with all of them, and of lazy Adam.
  EXPECT_NO_THROW(training.adam.set_steps(context, kAdamSweep));
  EXPECT_THAT(error_of([&] { training.adam.set_steps(context, kAdamSweep + 1); }), HasSubstr("is damaged"));
  Training<float> lazy(context, 4, {0.01, 0, true});
  EXPECT_NO_THROW(lazy.adam.set_steps(context, 100000));
  lazy.train(3);
  EXPECT_THAT(error_of([&] { lazy.adam.set_steps(context, 1); }), HasSubstr("is damaged"));
}

class AdamCuda : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  }
};
TEST_F(AdamCuda, HasTheBitsOfTheCpu) {
  const Context cpu(Device::cpu), cuda(Device::cuda);
  for (const bool lazy : {false, true}) {
    for (const int width : {1, 4, 32, 45, 64}) {
      for (const double l2 : {0.0, 0.01}) {
        Training<float> a(cpu, width, {0.01, l2, lazy}), b(cuda, width, {0.01, l2, lazy});
        a.train(80);
        b.train(80);
        EXPECT_EQ(moments(a), moments(b));
        a.adam.flush(cpu);
        b.adam.flush(cuda);
        EXPECT_EQ(a.weights(), b.weights());
        EXPECT_EQ(moments(a), moments(b));
      }
    }
  }
}
TEST_F(AdamCuda, StepsOfRowsAreThoseOfTheirBatch) {
  const Context context(Device::cuda);
  for (const bool lazy : {false, true}) expect_steps_of_rows(context, 40, lazy);
}

TEST_F(AdamCuda, DenseStepsHaveTheBitsOfAPassOverAllRows) {
  const Context context(Device::cuda);
  for (const int width : {1, 32, 45}) expect_dense_bits(context, width, 1e-4, 150);
}

TEST_F(AdamCuda, TablesHaveAnL2AndRatesOfTheirOwn) {
  const Context context(Device::cuda);
  expect_l2_of_tables(context);
  expect_new_rates(context);
}

}  // namespace
}  // namespace sllmr
