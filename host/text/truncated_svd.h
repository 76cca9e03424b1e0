// The leading directions of a sparse matrix.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "host/base/tf_idf.h"

namespace sllmr {

/// The texts as rows of a matrix A, each in unit length, on its `width` leading right singular vectors V: A
/// V, [texts x width] row-major. Columns beyond A's rank are zero. By a randomised range finder with power
/// iterations (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1); the same `seed` gives the same
/// numbers with any number of threads. `progress(done, total)` is called before each product. Throws
/// Interrupted after Ctrl-C.
std::vector<double> project_on_leading(const TfIdf& texts, std::int64_t width, std::uint64_t seed,
                                       const std::function<void(int, int)>& progress = {});

}  // namespace sllmr
