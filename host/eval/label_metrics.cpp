// Metrics of labelled rows and their logits.
#include <algorithm>
#include <array>
#include <cmath>

#include "host/eval/metric.h"
#include "host/eval/metrics.h"
#include "kernels/exec/math.h"

namespace sllmr {

namespace {

std::optional<double> auc(const LabelledSlice& slice) {
  return roc_auc(slice.order, slice.logits, slice.labels);
}

std::optional<double> mean_log_loss(const LabelledSlice& slice) {
  return log_loss(slice.order, slice.logits, slice.labels);
}

/// Zhou et al. 2018 (DIN), equation 12: users weigh as much as they have rows (impressions).
std::optional<double> gauc(const LabelledSlice& slice) {
  std::vector<std::int32_t> by_user(slice.order.begin(), slice.order.end());
  const auto user_of = [&](std::int32_t row) { return slice.rows[static_cast<std::size_t>(row)].user; };
  // Stable: a user's rows stay sorted by logit.
  std::ranges::stable_sort(by_user, {}, user_of);
  double sum = 0;
  std::int64_t rows = 0;
  for (std::size_t begin = 0, end = 0; begin < by_user.size(); begin = end) {
    while (end < by_user.size() && user_of(by_user[end]) == user_of(by_user[begin])) ++end;
    const std::span<const std::int32_t> own = std::span(by_user).subspan(begin, end - begin);
    const std::optional<double> auc_of_user = roc_auc(own, slice.logits, slice.labels);
    if (!auc_of_user) continue;
    sum += *auc_of_user * static_cast<double>(own.size());
    rows += static_cast<std::int64_t>(own.size());
  }
  if (rows == 0) return std::nullopt;
  return sum / static_cast<double>(rows);
}

double probability(float logit) {
  return sigmoid_of(double{logit});
}

std::optional<double> brier(const LabelledSlice& slice) {
  if (slice.order.empty()) return std::nullopt;
  double sum = 0;
  for (const std::int32_t row : slice.order) {
    const auto k = static_cast<std::size_t>(row);
    const double error = probability(slice.logits[k]) - double{slice.labels[k]};
    sum += error * error;
  }
  return sum / static_cast<double>(slice.order.size());
}

/// Bins of equal width, each with its lower end, the last one with 1 too.
std::optional<double> ece(const LabelledSlice& slice) {
  if (slice.order.empty()) return std::nullopt;
  constexpr std::size_t kBins = 15;
  std::array<double, kBins> probabilities{}, labels{};
  for (const std::int32_t row : slice.order) {
    const auto k = static_cast<std::size_t>(row);
    const double p = probability(slice.logits[k]);
    const std::size_t bin = std::min(kBins - 1, static_cast<std::size_t>(p * kBins));
    probabilities[bin] += p;
    labels[bin] += double{slice.labels[k]};
  }
  double gap = 0;  // sums, not means, of a bin: its number of rows cancels out
  for (std::size_t bin = 0; bin < kBins; ++bin) gap += std::abs(probabilities[bin] - labels[bin]);
  return gap / static_cast<double>(slice.order.size());
}

}  // namespace

std::vector<Metric> label_metrics() {
  using enum Better;
  constexpr Needs kNeeds = Needs::labels;
  return {
      {"auc", "chance that a positive row outscores a negative one, ties half", higher, kNeeds, CutOff::no,
       auc},
      {"gauc", "mean of the users' AUC, weighted by their rows; users with both classes", higher, kNeeds,
       CutOff::no, gauc},
      {"log_loss", "mean -log p(label), in nats", lower, kNeeds, CutOff::no, mean_log_loss},
      {"brier", "mean squared error of the probability", lower, kNeeds, CutOff::no, brier},
      {"ece", "expected calibration error: |mean probability - share of positives|, 15 bins of equal width",
       lower, kNeeds, CutOff::no, ece},
  };
}

}  // namespace sllmr
