#include "host/text/truncated_svd.h"

// One thread: blocks that depend on the number of threads would make the rounding depend on it.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Dense>
#include <Eigen/SparseCore>
#include <algorithm>

#include "kernels/exec/interrupt.h"
#include "kernels/exec/random.h"

namespace sllmr {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Sparse = Eigen::SparseMatrix<double, Eigen::RowMajor>;

constexpr Index kOversampling = 10;  // columns of the sketch beyond the width
constexpr int kPowerIterations = 4;
constexpr int kProducts = 2 * kPowerIterations + 2;
constexpr double kNoRank = 1e-10;  // a singular value below this share of the largest is rounding

Sparse unit_rows(const TfIdf& texts) {
  Sparse matrix(static_cast<Index>(texts.texts()), static_cast<Index>(texts.n_terms));
  std::vector<Eigen::Triplet<double>> entries;
  entries.reserve(texts.terms.size());
  for (std::size_t row = 0; row < texts.texts(); ++row) {
    for (const TfIdf::Term& term : texts.of(row)) {
      entries.emplace_back(static_cast<int>(row), term.id, term.weight / texts.norm[row]);
    }
  }
  matrix.setFromTriplets(entries.begin(), entries.end());
  return matrix;
}

MatrixXd gaussian(Index rows, Index columns, std::uint64_t seed) {
  MatrixXd matrix(rows, columns);
  for (Index row = 0; row < rows; ++row) {
    for (Index column = 0; column < columns; ++column) {
      const Draw draw =
          philox(seed, static_cast<std::uint32_t>(column), static_cast<std::uint64_t>(row), Purpose::sketch);
      matrix(row, column) = static_cast<double>(normal(draw.word[0], draw.word[1]));
    }
  }
  return matrix;
}

/// A QR decomposition; `basis` becomes the thin Q.
MatrixXd orthogonalise(MatrixXd& basis) {
  const Eigen::HouseholderQR<MatrixXd> qr(basis);
  const Index columns = basis.cols();
  MatrixXd triangle = qr.matrixQR().topRows(columns).triangularView<Eigen::Upper>();
  basis = qr.householderQ() * MatrixXd::Identity(basis.rows(), columns);
  return triangle;
}

}  // namespace

std::vector<double> leading_directions(const TfIdf& texts, std::int64_t width, std::uint64_t seed,
                                       const std::function<void(int, int)>& progress) {
  const Sparse a = unit_rows(texts);
  const Sparse a_transposed = a.transpose();
  const Index sketch = std::min({static_cast<Index>(width) + kOversampling, a.rows(), a.cols()});
  std::vector<double> directions(texts.n_terms * static_cast<std::size_t>(width), 0.0);
  if (sketch == 0) return directions;  // no text has a term
  int done = 0;
  const auto step = [&] {
    throw_if_interrupted();
    if (progress) progress(done++, kProducts);
  };

  step();
  MatrixXd range = a * gaussian(a.cols(), sketch, seed);
  orthogonalise(range);
  MatrixXd corange;
  for (int iteration = 0; iteration < kPowerIterations; ++iteration) {
    step();
    corange = a_transposed * range;
    orthogonalise(corange);
    step();
    range = a * corange;
    orthogonalise(range);
  }
  // range' A = triangle' corange': its right singular vectors are corange times the left ones of the
  // triangle.
  step();
  corange = a_transposed * range;
  const MatrixXd triangle = orthogonalise(corange);
  const Eigen::JacobiSVD<MatrixXd> svd(triangle, Eigen::ComputeFullU);
  const Eigen::VectorXd& values = svd.singularValues();
  Index columns = std::min(static_cast<Index>(width), sketch);
  while (columns > 0 && values(columns - 1) <= kNoRank * values(0)) --columns;
  const MatrixXd leading = corange * svd.matrixU().leftCols(columns);
  for (Index term = 0; term < leading.rows(); ++term) {
    for (Index column = 0; column < columns; ++column) {
      directions[static_cast<std::size_t>(term * width + column)] = leading(term, column);
    }
  }
  return directions;
}

std::vector<double> project(const TfIdf& texts, std::span<const double> directions, std::int64_t width) {
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const RowMajor> v(directions.data(), static_cast<Index>(texts.n_terms), width);
  std::vector<double> rows(texts.texts() * static_cast<std::size_t>(width), 0.0);
  Eigen::Map<RowMajor>(rows.data(), static_cast<Index>(texts.texts()), width) = unit_rows(texts) * v;
  return rows;
}

}  // namespace sllmr
