#include "kernels/exec/small_gemm.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/world.h"

namespace sllmr {
namespace {

struct Shape {
  std::int64_t m, n, k;
};

/// Whole and partial groups of rows and columns, and sums that are cut.
constexpr Shape kShapes[] = {{1, 1, 1}, {8, 32, 5}, {13, 64, 200}, {7, 63, 3}, {27, 47, 176}, {3, 10, 400}};

template <class Real>
struct Matrices {
  Matrices(const Shape& of_shape, bool a_transposed)
      : shape(of_shape),
        transposed(a_transposed),
        lda((transposed ? shape.m : shape.k) + 3),
        ldb(shape.n + 2),
        ldc(shape.n + 1) {
    TestNumbers numbers(1);
    const auto some = [&](std::int64_t rows, std::int64_t stride) {
      const std::vector<float> values = numbers.many(static_cast<std::size_t>(rows * stride), -1, 1);
      return std::vector<Real>(values.begin(), values.end());
    };
    a = some(transposed ? shape.k : shape.m, lda);
    b = some(shape.k, ldb);
    c = some(shape.m, ldc);
  }
  Matrix<const Real> a_matrix() const {
    return {a.data(), transposed ? shape.k : shape.m, transposed ? shape.m : shape.k, lda};
  }
  Factor<Real> factor() const { return {a_matrix(), transposed}; }
  Matrix<const Real> b_matrix() const { return {b.data(), shape.k, shape.n, ldb}; }
  /// `values`, c or a copy of it.
  Matrix<Real> matrix_in(std::vector<Real>& values) const { return {values.data(), shape.m, shape.n, ldc}; }

  Shape shape;
  bool transposed;
  std::int64_t lda, ldb, ldc;  // wider than they need to be
  std::vector<Real> a, b, c;
};

template <class Real>
void expect_the_naive_product(double tolerance) {
  for (const Shape& shape : kShapes) {
    for (const bool transposed : {false, true}) {
      for (const bool accumulate : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << shape.m << " x " << shape.n << " x " << shape.k << ' ' << transposed << accumulate);
        Matrices<Real> of(shape, transposed);
        std::vector<double> expected(of.c.begin(), of.c.end());
        for (std::int64_t row = 0; row < shape.m; ++row) {
          for (std::int64_t column = 0; column < shape.n; ++column) {
            double& sum = expected[static_cast<std::size_t>(row * of.ldc + column)];
            if (!accumulate) sum = 0;
            for (std::int64_t k = 0; k < shape.k; ++k) {
              const std::int64_t at = transposed ? k * of.lda + row : row * of.lda + k;
              sum += static_cast<double>(of.a[static_cast<std::size_t>(at)]) *
                     static_cast<double>(of.b[static_cast<std::size_t>(k * of.ldb + column)]);
            }
          }
        }
        if (accumulate) {
          small_multiply_add(of.factor(), of.b_matrix(), of.matrix_in(of.c));
        } else {
          small_multiply(of.factor(), of.b_matrix(), of.matrix_in(of.c));
        }
        EXPECT_TRUE(all_near(of.c, expected, {tolerance, 0}));  // what lies between rows is left alone
      }
    }
  }
}

TEST(SmallGemm, IsTheNaiveProduct) {
  expect_the_naive_product<float>(1e-4);
  expect_the_naive_product<double>(1e-12);
}

TEST(SmallGemm, HasTheSameBitsHoweverItIsCut) {
  const Shape shape{27, 47, 400};
  Matrices<float> of(shape, false);
  std::vector<float> cut = of.c;
  small_multiply(of.factor(), of.b_matrix(), of.matrix_in(of.c));
  for (const auto& [first_row, m] : {std::pair{0, 5}, {5, 22}}) {
    for (const auto& [first, n] : {std::pair{0, 33}, {33, 1}, {34, 13}}) {
      for (const auto& [k, depth] : {std::pair{0, 177}, {177, 223}}) {
        const Matrix<const float> a = of.a_matrix().row_range(first_row, m).columns(k, depth),
                                  b = of.b_matrix().row_range(k, depth).columns(first, n);
        const Matrix<float> to = of.matrix_in(cut).row_range(first_row, m).columns(first, n);
        if (k > 0) {
          small_multiply_add(a, b, to);
        } else {
          small_multiply(a, b, to);
        }
      }
    }
  }
  EXPECT_EQ(of.c, cut);
}

TEST(SmallGemm, DoesNotReadWhatItReplaces) {
  const std::vector<float> a{1, 2}, b{3, 4};
  float c = kNan;
  const Matrix<float> to(&c, 1, 1);
  small_multiply(Matrix<const float>(a.data(), 1, 2), Matrix<const float>(b.data(), 2, 1), to);
  EXPECT_EQ(c, 11.0F);
  small_multiply(Matrix<const float>(a.data(), 1, 0), Matrix<const float>(b.data(), 0, 1), to);
  EXPECT_EQ(c, 0.0F);
}

TEST(SmallGemm, RefusesWhatDoesNotFit) {
  std::vector<float> numbers(6);
  const Matrix<float> a(numbers.data(), 2, 3), square(numbers.data(), 2, 2);
  EXPECT_THROW(small_multiply(a, a, square), Error);
  EXPECT_THROW(small_multiply(square, a, square), Error);
  EXPECT_THROW(small_multiply_add(transposed(a), square, square), Error);
}

}  // namespace
}  // namespace sllmr
