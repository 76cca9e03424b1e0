#include "host/eval/metric.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/eval/metrics.h"
#include "kernels/exec/error.h"

namespace sllmr {

double RankedRow::auc() const {
  return ranking_auc(above, ties, negatives);
}

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> all = [] {
    std::vector<Metric> list = rank_metrics();
    for (const Metric& metric : list_metrics()) list.push_back(metric);
    for (const Metric& metric : label_metrics()) list.push_back(metric);
    return list;
  }();
  return all;
}

std::vector<MetricAt> metrics_of(std::span<const Needs> available, std::span<const int> top_k) {
  std::vector<MetricAt> found;
  for (const Metric& metric : metrics()) {
    if (std::ranges::find(available, metric.needs) == available.end()) continue;
    if (metric.cut_off == CutOff::no) {
      found.push_back({&metric, 0, std::string(metric.name)});
      continue;
    }
    for (const int k : top_k) found.push_back({&metric, k, fmt::format("{}@{}", metric.name, k)});
  }
  return found;
}

const std::optional<double>& Figures::of(std::string_view name, Slice slice) const {
  const auto found = std::ranges::find(figures, name, &Figure::name);
  require(found != figures.end(), fmt::format("no figure is called '{}'", name));
  return found->values[static_cast<std::size_t>(slice)];
}

void add_figures(nlohmann::json& json, const Figures& figures) {
  for (std::size_t slice = 0; slice < kEverySlice.size(); ++slice) {
    json["n"][kSliceNames[slice]] = figures.n[slice];
    for (const Figures::Figure& figure : figures.figures) {
      const std::optional<double>& value = figure.values[slice];
      json[figure.name][kSliceNames[slice]] = value ? nlohmann::json(*value) : nlohmann::json();
    }
  }
}

}  // namespace sllmr
