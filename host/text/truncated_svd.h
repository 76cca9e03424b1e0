// The leading directions of a sparse matrix.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "host/base/tf_idf.h"

namespace sllmr {

/// The `width` leading right singular vectors V of A, whose rows are the texts, each in unit length: [terms x
/// width] row-major. Columns beyond A's rank are zero. By a randomised range finder with power iterations
/// (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1); the same `seed` gives the same numbers with
/// any number of threads. `progress(done, total)` is called before each product. Throws Interrupted after
/// Ctrl-C.
std::vector<double> leading_directions(const TfIdf& texts, std::int64_t width, std::uint64_t seed,
                                       const std::function<void(int, int)>& progress = {});
/// These or other texts of the same terms on V: A V, [texts x width] row-major.
std::vector<double> project(const TfIdf& texts, std::span<const double> directions, std::int64_t width);

}  // namespace sllmr
