#include "host/guidance/gate_telemetry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "kernels/gates/columns.h"

namespace sllmr {

namespace {

constexpr const char* kBuckets[] = {"warm_head", "warm_tail", "cold_head", "cold_tail"};

nlohmann::json mean(double sum, double count) {
  return count > 0 ? nlohmann::json(sum / count) : nlohmann::json();
}

/// Of alpha as a probability, on the probes of users whom the gate did not learn from.
void add_reliability(const std::vector<double>& totals, nlohmann::json& out) {
  nlohmann::json bins = nlohmann::json::array();
  double count = 0, off = 0;
  for (int bin = 0; bin < GateColumns::reliability_bins; ++bin) {
    const double* sums = totals.data() + GateColumns::reliability + GateColumns::reliability_columns * bin;
    bins.push_back(
        {{"count", sums[0]}, {"mean_alpha", mean(sums[1], sums[0])}, {"right", mean(sums[2], sums[0])}});
    count += sums[0];
    off += std::fabs(sums[1] - sums[2]);
  }
  out["reliability"] = std::move(bins);
  out["calibration_error"] = mean(off, count);
}

/// "shut" or "open" where a gate that learns has stopped to select: the weight in force is below .01, or
/// above .99, in every bucket that has pairs.
nlohmann::json collapse(const nlohmann::json& buckets) {
  double least = 1, most = 0;
  for (const nlohmann::json& bucket : buckets) {
    if (bucket["mean_weight"].is_null()) continue;
    least = std::min(least, bucket["mean_weight"].get<double>());
    most = std::max(most, bucket["mean_weight"].get<double>());
  }
  if (least > most) return nullptr;
  return most < 0.01 ? "shut" : least > 0.99 ? "open" : nlohmann::json();
}

}  // namespace

nlohmann::json gate_telemetry(const GateSpec& spec, bool holds_out, const std::vector<float>& parameters,
                              const std::vector<double>& totals) {
  const double pairs = totals[GateColumns::pairs], probes = totals[GateColumns::probes];
  nlohmann::json out = {{"rule", spec.rule->name},
                        {"objective", spec.objective->name},
                        {"penalty", spec.penalty->name},
                        {"sides", spec.least_side ? "min" : "mean"},
                        {"parameters", parameters},
                        {"pairs", pairs},
                        {"probes", probes},
                        {"active_share", mean(totals[GateColumns::active], pairs)},
                        {"agreement", mean(totals[GateColumns::agreement], probes)}};
  double count = 0, alpha = 0;
  for (std::size_t b = 0; b < std::size(kBuckets); ++b) {
    const double* sums = totals.data() + GateColumns::bucket + GateColumns::bucket_columns * b;
    const double own = sums[0] > 0 ? sums[1] / sums[0] : 0;
    const double variance = sums[0] > 0 ? std::max(0.0, sums[2] / sums[0] - own * own) : 0;
    out["buckets"][kBuckets[b]] = {{"count", sums[0]},
                                   {"mean_alpha", mean(sums[1], sums[0])},
                                   {"mean_weight", mean(sums[3], sums[0])},
                                   {"deviation", mean(std::sqrt(variance) * sums[0], sums[0])}};
    count += sums[0];
    alpha += sums[1];
  }
  out["mean_alpha"] = mean(alpha, count);
  out["mean_weight"] = mean(totals[GateColumns::pair_weight], pairs);
  out["calibration_error"] = nullptr;
  if (holds_out) add_reliability(totals, out);
  if (spec.rule->n_params > 0) {
    out["collapsed"] = collapse(out["buckets"]);
    if (out["collapsed"] == "shut" && spec.objective->uses_probes && probes == 0) {
      out["warning"] = "the gate has drawn no probe and is shut: see gate.probe_rate and gate.probes";
    } else if (out["collapsed"] == "shut") {
      out["warning"] =
          "the gate has shut, its mean weight is below .01 in every bucket: it has not found the LLM to be "
          "of "
          "use, and the model is hardly pulled, as with method=none";
    } else if (out["collapsed"] == "open") {
      out["warning"] =
          "the gate is open, its mean weight is above .99 in every bucket: it no longer selects, as with "
          "method=global";
    }
  }
  return out;
}

std::vector<GuidanceColumn> gate_columns() {
  std::vector<GuidanceColumn> columns = {{"mean alpha", "/mean_alpha"},
                                         {"mean weight", "/mean_weight", false},
                                         {"calibration error", "/calibration_error", false}};
  for (const char* bucket : kBuckets) {
    columns.push_back({bucket, fmt::format("/buckets/{}/mean_alpha", bucket), false});
  }
  return columns;
}

}  // namespace sllmr
