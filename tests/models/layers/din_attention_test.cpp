#include "models/layers/din_attention/din_attention.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "tests/models/layers/layer_check.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// `lengths`: of the rows' histories.
struct DinSize {
  std::vector<int> lengths;
  int width;
  std::array<int, 2> units;
};

/// The layer over one batch; all tensors are slices of columns.
template <class Real>
class DinRun {
 public:
  DinRun(const Context& context, const DinSize& size)
      : context_(context),
        layer_(parameters_, "attention", size.width, size.units),
        rows_(static_cast<std::int64_t>(size.lengths.size())) {
    parameters_.allocate(context, 1);
    const std::vector<Real> drawn = random_numbers<Real>(2, parameters_.size());
    parameters_.values().assign(context, std::span<const Real>(drawn));
    std::vector<std::int64_t> first{0};
    std::vector<std::int32_t> row_of;
    for (const int length : size.lengths) {
      row_of.resize(row_of.size() + static_cast<std::size_t>(length),
                    static_cast<std::int32_t>(first.size()) - 1);
      first.push_back(static_cast<std::int64_t>(row_of.size()));
    }
    first_position_ = Buffer<std::int64_t>(context, std::span<const std::int64_t>(first));
    row_of_position_ = Buffer<std::int32_t>(context, std::span<const std::int32_t>(row_of));
    batch_.rows = rows_;
    batch_.sequence = true;
    batch_.positions = first.back();
    batch_.first_position = first_position_.data();
    batch_.row_of_position = row_of_position_.data();
    query_ = random_slice(3, rows_, size.width);
    keys_ = random_slice(4, batch_.positions, size.width);
    d_out_ = random_slice(5, rows_, size.width);
    d_query_ = random_slice(6, rows_, size.width);
  }

  struct Result {
    std::vector<Real> out, d_query, d_keys, gradients;
    bool operator==(const Result&) const = default;
  };

  std::vector<Real> forward(typename DinAttention<Real>::Saved* saved = nullptr) const {
    const Tensor<Real> out = random_slice(7, query_.rows(), query_.cols());  // must not be seen
    layer_.forward(context_, batch_, query_, keys_, out, saved);
    return values_of(context_, out);
  }
  Result run() {
    Result result;
    typename DinAttention<Real>::Saved saved;
    result.out = forward(&saved);
    const std::vector<Real> before = values_of(context_, d_query_);
    result.d_keys = values_of(context_, layer_.backward(context_, batch_, saved, d_out_, d_query_));
    result.d_query = values_of(context_, d_query_);
    for (std::size_t k = 0; k < before.size(); ++k) result.d_query[k] -= before[k];
    result.gradients = parameters_.gradients().to_host(context_);
    return result;
  }

  double loss() const {
    const std::vector<Real> out = forward(), weights = values_of(context_, d_out_);
    double sum = 0;
    for (std::size_t k = 0; k < out.size(); ++k) sum += out[k] * weights[k];
    return sum;
  }

  /// Makes the last positions repeat the ones before, and says so to the layer if `told`.
  void make_twins(std::int64_t positions, bool told) {
    const std::int64_t own = batch_.positions - positions;
    for (std::int64_t k = 0; k < positions; ++k) {
      std::copy_n(keys_.row_range(own - positions + k, 1).data(), keys_.cols(),
                  keys_.row_range(own + k, 1).data());
    }
    batch_.twin_positions = told ? positions : 0;
  }

  Parameters<Real>& parameters() { return parameters_; }
  const DinAttention<Real>& layer() const { return layer_; }
  const FeatureBatch& batch() const { return batch_; }
  const Tensor<Real>& query() const { return query_; }
  const Tensor<Real>& keys() const { return keys_; }

 private:
  Tensor<Real> random_slice(std::uint64_t seed, std::int64_t rows, std::int64_t cols) const {
    return slice_of(context_, rows, cols, random_numbers<Real>(seed, rows * cols));
  }

  const Context& context_;
  Parameters<Real> parameters_;
  DinAttention<Real> layer_;
  std::int64_t rows_;
  Buffer<std::int64_t> first_position_;
  Buffer<std::int32_t> row_of_position_;
  FeatureBatch batch_;
  Tensor<Real> query_, keys_, d_out_, d_query_;
};

/// Rows without history at the beginning, in the middle and at the end.
const std::vector<DinSize> kDinSizes{
    {{3, 0, 1, 2}, 5, {6, 4}}, {{0, 2, 0, 0, 4, 0}, 3, {2, 1}}, {{1}, 1, {1, 1}}, {{2, 5}, 33, {17, 5}}};

DinSize large() {
  DinSize size{{}, 96, {64, 16}};
  for (int r = 0; r < 128; ++r) size.lengths.push_back(r % 21);
  return size;
}

double error_of_rows(const Tensor<double>& x, const std::vector<double>& analytic,
                     const DinRun<double>& run) {
  double error = 0;
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    const auto cols = static_cast<std::size_t>(x.cols());
    error =
        std::max(error, gradient_error({x.data() + r * x.stride(), cols},
                                       {analytic.data() + r * x.cols(), cols}, [&] { return run.loss(); }));
  }
  return error;
}

TEST(DinAttention, TwinsAreRowsLikeAnyOther) {
  const Context context(Device::cpu, 1);
  const DinSize size{{3, 4, 0, 2, 4, 0, 2}, 5, {6, 4}};  // the last three rows are twins of the three before
  constexpr std::int64_t kTwins = 6, kOwn = 9;
  DinRun<double> told(context, size), untold(context, size);
  told.make_twins(kTwins, true);
  untold.make_twins(kTwins, false);
  const DinRun<double>::Result a = told.run(), b = untold.run();
  const auto expect_near = [](const std::vector<double>& x, const std::vector<double>& y) {
    ASSERT_EQ(x.size(), y.size());
    for (std::size_t k = 0; k < x.size(); ++k) EXPECT_TRUE(near(x[k], y[k], {1e-12, 1e-12})) << k;
  };
  expect_near(a.out, b.out);
  expect_near(a.gradients, b.gradients);
  expect_near(a.d_query, b.d_query);
  // Both keys are rows of the same tables: what counts is the sum of their gradients.
  const auto folded = [&](std::vector<double> d_keys) {
    for (std::int64_t k = 0; k < kTwins * size.width; ++k) {
      d_keys[static_cast<std::size_t>((kOwn - kTwins) * size.width + k)] +=
          d_keys[static_cast<std::size_t>(kOwn * size.width + k)];
    }
    d_keys.resize(static_cast<std::size_t>(kOwn * size.width));
    return d_keys;
  };
  expect_near(folded(a.d_keys), folded(b.d_keys));
  EXPECT_NE(a.d_keys, b.d_keys) << "the test says nothing";
}

TEST(DinAttention, GradientsAreThoseOfFiniteDifferences) {
  const Context context(Device::cpu, 2);
  for (const DinSize& size : kDinSizes) {
    SCOPED_TRACE(testing::Message() << size.lengths.size() << " rows of " << size.width);
    DinRun<double> run(context, size);
    Parameters<double>& parameters = run.parameters();
    std::fill_n(parameters.gradients().data(), parameters.size(), 7.0);  // must not be seen again
    const DinRun<double>::Result result = run.run();
    for (const auto& part : parameters.parts()) {
      const auto count = static_cast<std::size_t>(part.size);
      EXPECT_LT(gradient_error({parameters.values().data() + part.offset, count},
                               {result.gradients.data() + part.offset, count}, [&] { return run.loss(); }),
                kGradientTolerance)
          << part.name;
    }
    EXPECT_LT(error_of_rows(run.query(), result.d_query, run), kGradientTolerance) << "query";
    EXPECT_LT(error_of_rows(run.keys(), result.d_keys, run), kGradientTolerance) << "keys";
  }
}

/// One number of W x + b.
double affine(const Parameters<double>& parameters, const std::string& layer, int unit,
              const std::vector<double>& x) {
  const double* weight = parameters.value(parameters.find(layer + ".weight"));
  double sum = parameters.value(parameters.find(layer + ".bias"))[unit];
  for (std::size_t k = 0; k < x.size(); ++k)
    sum += weight[static_cast<std::size_t>(unit) * x.size() + k] * x[k];
  return sum;
}

TEST(DinAttention, IsTheUnitOnFourBlocks) {
  const Context context(Device::cpu, 2);
  for (const DinSize& size : kDinSizes) {
    SCOPED_TRACE(testing::Message() << size.lengths.size() << " rows of " << size.width);
    DinRun<double> run(context, size);
    const auto width = static_cast<std::size_t>(size.width);
    std::vector<double> expected;
    std::int64_t position = 0;
    for (std::size_t r = 0; r < size.lengths.size(); ++r) {
      const double* q = run.query().data() + static_cast<std::int64_t>(r) * run.query().stride();
      std::vector<double> sum(width);
      for (int t = 0; t < size.lengths[r]; ++t, ++position) {
        const double* k = run.keys().data() + position * run.keys().stride();
        std::vector<double> x(4 * width), h, h1;
        for (std::size_t d = 0; d < width; ++d) {
          x[d] = q[d];
          x[width + d] = k[d];
          x[2 * width + d] = q[d] - k[d];
          x[3 * width + d] = q[d] * k[d];
        }
        for (int j = 0; j < size.units[0]; ++j) {
          h.push_back(std::max(affine(run.parameters(), "attention.0", j, x), 0.0));
        }
        for (int j = 0; j < size.units[1]; ++j) {
          h1.push_back(affine(run.parameters(), "attention.1", j, h));
        }
        const double a = affine(run.parameters(), "attention.2", 0, h1);
        for (std::size_t d = 0; d < width; ++d) sum[d] += a * k[d];
      }
      expected.insert(expected.end(), sum.begin(), sum.end());
    }
    EXPECT_TRUE(all_near(run.forward(), expected, {1e-12, 1e-12}));
  }
}

TEST(DinAttention, WithoutAnyHistoryNothingFlows) {
  const Context context(Device::cpu, 2);
  DinRun<double> run(context, {{0, 0, 0}, 4, {3, 2}});
  std::fill_n(run.parameters().gradients().data(), run.parameters().size(), 7.0);
  const DinRun<double>::Result result = run.run();
  EXPECT_EQ(result.out, std::vector<double>(12));
  EXPECT_EQ(result.d_query, std::vector<double>(12));
  for (const auto& part : run.parameters().parts()) {
    for (std::int64_t k = part.offset; k < part.offset + part.size; ++k) {
      EXPECT_EQ(result.gradients[static_cast<std::size_t>(k)], 0) << part.name;
    }
  }
}

void expect_float_is_right(const Context& context, const DinSize& size) {
  const Context cpu(Device::cpu, 2);
  DinRun<double> run(cpu, size);
  const DinRun<double>::Result reference = run.run();
  const DinRun<float>::Result result = DinRun<float>(context, size).run();
  EXPECT_LT(norm_error(result.out, reference.out), 2e-5);
  EXPECT_LT(norm_error(result.d_query, reference.d_query), 2e-5);
  EXPECT_LT(norm_error(result.d_keys, reference.d_keys), 2e-5);
  expect_parts_near(run.parameters(), true, result.gradients, reference.gradients, 2e-5);
}

TEST(DinAttention, FloatIsRightAndThreadsDoNotMatter) {
  expect_float_is_right(Context(Device::cpu, 2), large());
  const auto run = [](int threads) {
    const Context context(Device::cpu, threads);
    return DinRun<float>(context, large()).run();
  };
  EXPECT_TRUE(run(1) == run(2));
  EXPECT_TRUE(run(2) == run(2)) << "repeatable";
}

TEST(DinAttentionCuda, FloatIsRight) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  const Context context(Device::cuda);
  for (const DinSize& size : kDinSizes) expect_float_is_right(context, size);
  expect_float_is_right(context, large());
}

TEST(DinAttention, RefusesWhatDoesNotFit) {
  const Context context(Device::cpu, 1);
  const auto error_with = [](int width, std::array<int, 2> units) {
    return error_of([&] {
      Parameters<float> parameters;
      DinAttention<float>(parameters, "attention", width, units);
    });
  };
  EXPECT_THAT(error_with(0, {2, 2}), HasSubstr("width must be at least 1"));
  EXPECT_THAT(error_with(4, {0, 2}), HasSubstr("at least one unit"));
  EXPECT_THAT(error_with(4, {2, 0}), HasSubstr("at least one unit"));

  DinRun<float> run(context, {{2, 1}, 4, {3, 2}});
  const Tensor<float> query(context, 2, 4), keys(context, 3, 4), out(context, 2, 4), wrong(context, 2, 5);
  const auto forward = [&](const FeatureBatch& batch, const Tensor<float>& q, const Tensor<float>& k,
                           const Tensor<float>& to) {
    return error_of([&] { run.layer().forward(context, batch, q, k, to, nullptr); });
  };
  FeatureBatch pooled = run.batch();
  pooled.sequence = false;
  EXPECT_THAT(forward(pooled, query, keys, out), HasSubstr("sequence batch"));
  EXPECT_THAT(forward(run.batch(), wrong, keys, out), HasSubstr("query is [2 x 5], expected [2 x 4]"));
  EXPECT_THAT(forward(run.batch(), query, query, out), HasSubstr("keys is [2 x 4], expected [3 x 4]"));
  EXPECT_THAT(forward(run.batch(), query, keys, wrong), HasSubstr("output is"));
  DinAttention<float>::Saved saved;
  run.forward(&saved);
  const auto backward = [&](const Tensor<float>& d_out, const Tensor<float>& d_query) {
    return error_of([&] { run.layer().backward(context, run.batch(), saved, d_out, d_query); });
  };
  EXPECT_THAT(backward(wrong, query), HasSubstr("output's gradient"));
  EXPECT_THAT(backward(out, wrong), HasSubstr("query's gradient"));
}

}  // namespace
}  // namespace sllmr
