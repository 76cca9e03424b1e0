#include "kernels/exec/small_gemm.h"

#include <algorithm>

#include "kernels/exec/processor.h"

namespace sllmr {

namespace {

#define SLLMR_ALWAYS_INLINE __attribute__((always_inline)) inline

/// `Bytes` of numbers that the compiler keeps in one register (or several, where the processor's are
/// shorter). In memory they may begin at any number.
template <class Real, int Bytes>
struct Pack {
  using Type [[gnu::vector_size(Bytes), gnu::aligned(sizeof(Real)), gnu::may_alias]] = Real;
  static constexpr int size = Bytes / static_cast<int>(sizeof(Real));
};

template <class Real>
struct Product {
  Factor<Real> a;
  Matrix<const Real> b;
  Matrix<Real> c;
};

/// Rows `row` to row + Rows - 1 and Packs packs of columns from `column` on, whose sums stay in registers:
/// the terms of k from `begin` to end - 1.
template <int Rows, int Packs, int Bytes, bool Transposed, class Real>
SLLMR_ALWAYS_INLINE void multiply_tile(const Product<Real>& of, std::int64_t row, std::int64_t column,
                                       std::int64_t begin, std::int64_t end, bool accumulate) {
  using Numbers = typename Pack<Real, Bytes>::Type;
  constexpr int kSize = Pack<Real, Bytes>::size;
  const std::int64_t stride = of.a.of.stride;
  const Real* a = of.a.of.data + (Transposed ? row + begin * stride : row * stride + begin);
  const Real* b = of.b.row(begin) + column;
  Real* c = of.c.row(row) + column;
  Numbers sums[Rows][Packs];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < Packs; ++p) {
      sums[r][p] =
          accumulate ? *reinterpret_cast<const Numbers*>(c + r * of.c.stride + p * kSize) : Numbers{};
    }
  }
  for (std::int64_t k = begin; k < end; ++k, a += Transposed ? stride : 1, b += of.b.stride) {
    Numbers x[Packs];
#pragma GCC unroll 16
    for (int p = 0; p < Packs; ++p) x[p] = *reinterpret_cast<const Numbers*>(b + p * kSize);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const Real w = a[Transposed ? r : r * stride];
#pragma GCC unroll 16
      for (int p = 0; p < Packs; ++p) sums[r][p] += w * x[p];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < Packs; ++p) {
      *reinterpret_cast<Numbers*>(c + r * of.c.stride + p * kSize) = sums[r][p];
    }
  }
}

/// All rows from `row` on, as many at once as there are registers, then half as many, ...
template <int Rows, int Packs, int Bytes, bool Transposed, class Real>
SLLMR_ALWAYS_INLINE void multiply_rows(const Product<Real>& of, std::int64_t row, std::int64_t m,
                                       std::int64_t column, std::int64_t begin, std::int64_t end,
                                       bool accumulate) {
  for (; row + Rows <= m; row += Rows) {
    multiply_tile<Rows, Packs, Bytes, Transposed>(of, row, column, begin, end, accumulate);
  }
  if constexpr (Rows > 1) {
    multiply_rows<Rows / 2, Packs, Bytes, Transposed>(of, row, m, column, begin, end, accumulate);
  }
}

/// All columns from `column` on: two packs at once, then one, then one of half the size, ...
template <int Rows, int Packs, int Bytes, bool Transposed, class Real>
SLLMR_ALWAYS_INLINE void multiply_columns(const Product<Real>& of, std::int64_t m, std::int64_t column,
                                          std::int64_t n, std::int64_t begin, std::int64_t end,
                                          bool accumulate) {
  constexpr std::int64_t kColumns = Packs * Pack<Real, Bytes>::size;
  for (; column + kColumns <= n; column += kColumns) {
    multiply_rows<Rows, Packs, Bytes, Transposed>(of, 0, m, column, begin, end, accumulate);
  }
  if constexpr (Packs > 1) {
    multiply_columns<Rows, 1, Bytes, Transposed>(of, m, column, n, begin, end, accumulate);
  } else if constexpr (Bytes > static_cast<int>(sizeof(Real))) {
    multiply_columns<Rows, 1, Bytes / 2, Transposed>(of, m, column, n, begin, end, accumulate);
  }
}

/// Packs of `Bytes`, two for each of `Rows` rows at once.
template <int Rows, int Bytes, class Real>
SLLMR_ALWAYS_INLINE void multiply(const Product<Real>& of, std::int64_t m, std::int64_t n, std::int64_t k,
                                  bool accumulate) {
  // So much of two packs of B stays in the first cache while all rows of A pass.
  constexpr std::int64_t kDepth = 176;
  std::int64_t begin = 0;
  do {
    const std::int64_t end = std::min(k, begin + kDepth);
    if (of.a.transposed) {
      multiply_columns<Rows, 2, Bytes, true>(of, m, 0, n, begin, end, accumulate || begin > 0);
    } else {
      multiply_columns<Rows, 2, Bytes, false>(of, m, 0, n, begin, end, accumulate || begin > 0);
    }
    begin = end;
  } while (begin < k);
}

#if defined(__x86_64__)
template <class Real>
__attribute__((target("arch=x86-64-v4"))) void multiply_avx512(const Product<Real>& of, std::int64_t m,
                                                               std::int64_t n, std::int64_t k,
                                                               bool accumulate) {
  multiply<8, 64>(of, m, n, k, accumulate);
}
#endif

/// to = a b, or with `accumulate` to += a b.
template <class Real>
void product(const Factor<Real>& a, const Matrix<const Real>& b, const Matrix<Real>& to, bool accumulate) {
  require(a.rows() == to.rows && b.cols == to.cols && a.cols() == b.rows, "a small product does not fit");
  const Product<Real> of{a, b, to};
  const std::int64_t m = to.rows, n = to.cols, k = b.rows;
#if defined(__x86_64__)
  if (has_avx512()) return multiply_avx512(of, m, n, k, accumulate);
#endif
  multiply<6, 32>(of, m, n, k, accumulate);
}

}  // namespace

void small_multiply(const Factor<float>& a, const Matrix<const float>& b, const Matrix<float>& to) {
  product(a, b, to, false);
}
void small_multiply(const Factor<double>& a, const Matrix<const double>& b, const Matrix<double>& to) {
  product(a, b, to, false);
}
void small_multiply_add(const Factor<float>& a, const Matrix<const float>& b, const Matrix<float>& to) {
  product(a, b, to, true);
}
void small_multiply_add(const Factor<double>& a, const Matrix<const double>& b, const Matrix<double>& to) {
  product(a, b, to, true);
}

}  // namespace sllmr
