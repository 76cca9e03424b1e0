#include "experiments/results/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "host/base/nearest.h"
#include "host/eval/protocol.h"
#include "host/guidance/registry.h"

namespace sllmr {

std::string to_text(const FigureName& name) {
  return name.metric + "." + name.slice;
}

FigureName guidance_name(const GuidanceColumn& column) {
  std::string metric = "guidance" + column.path;
  std::ranges::replace(metric, '/', '.');
  return {metric};
}

namespace {

/// Paths of a summary: costs of the run, and of the scores and vectors that it reads.
constexpr const char* kCosts[] = {"seconds.epoch", "memory.peak_resident_bytes", "memory.peak_device_bytes",
                                  "parameters"};
constexpr const char* kGuidanceCosts[] = {"guidance_cost.tokens_in", "guidance_cost.tokens_out",
                                          "guidance_cost.money", "guidance_cost.seconds"};

}  // namespace

bool is_cost_of_run(const FigureName& name) {
  return std::ranges::find(kCosts, name.metric) != std::end(kCosts);
}

std::optional<double> number_at(const nlohmann::json& summary, std::string_view path) {
  std::string pointer = "/" + std::string(path);
  std::ranges::replace(pointer, '.', '/');
  const nlohmann::json::json_pointer at(pointer);
  return summary.contains(at) ? finite_number(summary.at(at)) : std::nullopt;
}

std::vector<Figure> figures_of(const nlohmann::json& summary) {
  std::vector<Figure> figures;
  for (const auto& [metric, slices] : summary.at("test").items()) {
    if (!slices.is_object()) continue;
    for (const char* slice : kSliceNames) {
      figures.push_back({{metric, slice}, finite_number(slices.at(slice))});
    }
  }
  for (const GuidanceColumn& column : guidance_columns({summary.at("method").get<std::string>()}, false)) {
    figures.push_back({guidance_name(column), guidance_figure(summary, column)});
  }
  for (const char* path : kCosts) figures.push_back({{path}, number_at(summary, path)});
  for (const char* path : kGuidanceCosts) figures.push_back({{path}, number_at(summary, path)});
  return figures;
}

namespace {

/// What a summary has as "test", without a figure.
nlohmann::json test_without_rows(const Config& config) {
  const Protocol& protocol = find_protocol(config);
  nlohmann::json none, test = nlohmann::json::object();
  for (const char* slice : kSliceNames) none[slice] = nullptr;
  for (const std::string_view name : protocol.counts) test[std::string(name)] = none;
  for (const MetricAt& metric : metrics_of(protocol.offers(config.eval), config.eval.topk)) {
    test[metric.name] = none;
  }
  return test;
}

}  // namespace

std::vector<FigureName> figure_names(const Config& config) {
  std::vector<FigureName> names;
  for (Figure& figure : figures_of({{"test", test_without_rows(config)}, {"method", config.method}})) {
    names.push_back(std::move(figure.name));
  }
  return names;
}

namespace {

std::string_view without_test(std::string_view word) {
  constexpr std::string_view kTest = "test.";
  return word.starts_with(kTest) ? word.substr(kTest.size()) : word;
}

}  // namespace

std::optional<FigureName> find_figure(std::string_view word, std::span<const FigureName> known) {
  word = without_test(word);
  const auto found = std::ranges::find_if(known, [&](const FigureName& name) {
    return word == to_text(name) || (name.slice == kSliceNames[0] && word == name.metric);
  });
  return found == known.end() ? std::nullopt : std::optional(*found);
}

std::string nearest_figure(std::string_view word, std::span<const FigureName> known) {
  std::vector<std::string> words;
  for (const FigureName& name : known) {
    words.push_back(to_text(name));
    if (name.slice == kSliceNames[0]) words.push_back(name.metric);
  }
  return nearest_name(without_test(word), words);
}

std::optional<double> finite_number(const nlohmann::json& value) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) return std::nullopt;
  return value.get<double>();
}

std::optional<double> guidance_figure(const nlohmann::json& summary, const GuidanceColumn& column) {
  const nlohmann::json::json_pointer path("/guidance" + column.path);
  return summary.contains(path) ? finite_number(summary.at(path)) : std::nullopt;
}

std::string figure_text(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return "-";
  constexpr double kWhole = 1e4;  // bytes and counts
  return std::fabs(*value) < kWhole ? fmt::format("{:.4f}", *value) : fmt::format("{:.0f}", *value);
}

Spread spread_of(std::span<const std::optional<double>> values) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double sum = 0, squares = 0;
  int n = 0;
  for (const std::optional<double>& value : values) {
    if (!value) continue;
    sum += *value;
    ++n;
  }
  if (n == 0) return {0, kNone, kNone};
  const double mean = sum / n;
  for (const std::optional<double>& value : values) {
    if (value) squares += (*value - mean) * (*value - mean);
  }
  return {n, mean, n == 1 ? kNone : std::sqrt(squares / (n - 1))};
}

std::string to_signed_text(const Spread& spread) {
  return (spread.mean >= 0 ? "+" : "") + to_text(spread);
}

std::string to_text(const Spread& spread) {
  const std::string mean = figure_text(spread.mean);
  return spread.n < 2 ? mean : fmt::format("{} ± {}", mean, figure_text(spread.deviation));
}

}  // namespace sllmr
