// Figures of runs: their names, how they are averaged over seeds, and how they are printed.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config.h"
#include "host/eval/slices.h"
#include "host/guidance/guidance.h"

namespace sllmr {

/// Of the test a metric and a slice: "ndcg@10", "cold". Of anything else a summary tells its dotted path
/// ("guidance.mean_alpha", "seconds.total"), which is of all rows.
struct FigureName {
  std::string metric;
  std::string slice = kSliceNames[0];
  bool operator==(const FigureName&) const = default;
};
/// "ndcg@10.cold".
std::string to_text(const FigureName& name);
FigureName guidance_name(const GuidanceColumn& column);

struct Figure {
  FigureName name;
  std::optional<double> value;  // none: the slice has no row, or guidance tells nothing of the kind
};
/// Every metric of a summary's test by slice, every number of its method's guidance_columns(), what the run
/// cost (seconds of an epoch, memory, parameters), and what its scores and vectors cost before.
std::vector<Figure> figures_of(const nlohmann::json& summary);
/// Their names, before there is a summary: those of a run of `config`.
std::vector<FigureName> figure_names(const Config& config);

/// Seconds of an epoch, memory, parameters: a cost of the run, which the backbone alone has too.
bool is_cost_of_run(const FigureName& name);

/// The one of `known` that a user means by "ndcg@10" (of all rows), "ndcg@10.cold" or "test.ndcg@10.cold".
std::optional<FigureName> find_figure(std::string_view word, std::span<const FigureName> known);
/// The word for one of `known` that is nearest to `word`, for messages.
std::string nearest_figure(std::string_view word, std::span<const FigureName> known);

/// A finite number, else nothing.
std::optional<double> finite_number(const nlohmann::json& value);
/// What a summary's guidance tells in this column.
std::optional<double> guidance_figure(const nlohmann::json& summary, const GuidanceColumn& column);
/// The number at a dotted path of a summary; nothing where there is none.
std::optional<double> number_at(const nlohmann::json& summary, std::string_view path);
/// "0.7134", without decimals from 10,000 on, or "-" for none.
std::string figure_text(const std::optional<double>& value);

/// Mean and standard deviation (n - 1) over the values that are there; `n` of them. Without one both are NaN,
/// with one the deviation is.
struct Spread {
  int n = 0;
  double mean = 0, deviation = 0;
};
Spread spread_of(std::span<const std::optional<double>> values);
/// "0.7134 ± 0.0012", "0.7134" for one value, "-" for none.
std::string to_text(const Spread& spread);
/// The same of a difference: "+0.0123 ± 0.0012".
std::string to_signed_text(const Spread& spread);

}  // namespace sllmr
