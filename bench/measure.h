// Timing: repeated, interleaved, reported as median and spread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

#include "kernels/exec/context.h"

namespace sllmr::bench {

/// A repeated measurement.
struct Figure {
  double median = 0, low = 0, high = 0;

  /// Half the distance between best and worst, over the median.
  double spread() const { return median != 0 ? 0.5 * (high - low) / median : 0.0; }
  /// The figure of `amount` a unit of this one: of seconds a pass, rows a second.
  Figure rate(double amount) const { return {amount / median, amount / high, amount / low}; }
};

inline Figure figure_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const std::size_t n = samples.size();
  return {0.5 * (samples[(n - 1) / 2] + samples[n / 2]), samples.front(), samples.back()};
}

using Work = std::function<void()>;

/// How long and how often to measure.
struct Effort {
  int rounds;
  double seconds;  // of a sample, at least
};

class Stopwatch {
 public:
  Stopwatch(const Context& context, Effort effort) : context_(context), effort_(effort) {}

  /// Seconds a call of `work`.
  Figure time(const Work& work) const {
    const int calls = calls_of(work);
    std::vector<double> samples;
    for (int round = 0; round < effort_.rounds; ++round) samples.push_back(sample(work, calls));
    return figure_of(samples);
  }

  /// Times of `work` and `base`, and their ratio: samples alternate (base, work, base, ...), and each of
  /// `work` is divided by the mean of its two neighbours, so that a machine that slows down slows both.
  struct Comparison {
    Figure base, work, ratio;
  };
  Comparison compare(const Work& base, const Work& work) const {
    const int base_calls = calls_of(base), work_calls = calls_of(work);
    std::vector<double> bases{sample(base, base_calls)}, works, ratios;
    for (int round = 0; round < effort_.rounds; ++round) {
      works.push_back(sample(work, work_calls));
      bases.push_back(sample(base, base_calls));
      ratios.push_back(works.back() / (0.5 * (bases[bases.size() - 2] + bases.back())));
    }
    return {figure_of(bases), figure_of(works), figure_of(ratios)};
  }

 private:
  double sample(const Work& work, int calls) const {
    context_.synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int call = 0; call < calls; ++call) work();
    context_.synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
  }
  /// The first call, which warms up, is not used.
  int calls_of(const Work& work) const {
    sample(work, 1);
    return std::max(1, static_cast<int>(std::ceil(effort_.seconds / sample(work, 1))));
  }

  const Context& context_;
  Effort effort_;
};

}  // namespace sllmr::bench
