// Every metric of evaluation. A new one is a function and a line of a table, in rank_metrics.cpp,
// list_metrics.cpp or label_metrics.cpp after what it needs; protocols, config checks and tests enumerate
// metrics().
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "host/data/split.h"
#include "host/eval/slices.h"

namespace sllmr {

/// One ranked item.
struct RankedRow {
  Id user, item;
  std::int32_t above, ties;  // negatives scored higher than the item, and the same
  std::int32_t negatives;

  /// The share of the negatives below the item, ties half.
  double auc() const;
  /// 1 is best; in the middle of the ties.
  double rank() const { return 1.0 + above + 0.5 * ties; }
};

/// The rows of a slice whose held-out item was ranked against the catalogue.
struct RankedSlice {
  const Split& split;
  std::vector<RankedRow> rows;
  std::vector<std::span<const Id>> lists;  // of each row the best items, best first; empty: none were made
};

/// Labelled rows; those of the slice are the ones that `order` names.
struct LabelledSlice {
  std::span<const CtrRow> rows;
  std::span<const float> logits, labels;  // [rows]; no logit is NaN, labels are 0 or 1
  std::span<const std::int32_t> order;    // by logit, lowest first
};

enum class Better { higher, lower };
enum class Needs { ranks, lists, labels };
enum class CutOff { no, yes };

struct Metric {
  /// The value over a slice, which may have no row; empty where there is none. `k`: the cut-off, at least 1,
  /// of a metric that takes one. Lists are at least `k` long where the catalogue is.
  using OfRanked = std::optional<double> (*)(const RankedSlice& slice, int k);
  using OfLabelled = std::optional<double> (*)(const LabelledSlice& slice);

  std::string_view name;  // "recall"; unique among those with the same needs
  std::string_view summary;
  Better better;
  Needs needs;
  CutOff cut_off;                            // yes: one for each of eval.topk, "recall@10"
  std::variant<OfRanked, OfLabelled> value;  // OfLabelled: of what needs labels
};

/// All metrics, by what they need.
const std::vector<Metric>& metrics();
std::vector<Metric> rank_metrics();
std::vector<Metric> list_metrics();
std::vector<Metric> label_metrics();

/// A metric at one of its cut-offs.
struct MetricAt {
  const Metric* metric;
  int k;             // 0 without a cut-off
  std::string name;  // "auc", "recall@10"
};
/// Those that can be had of what is available.
std::vector<MetricAt> metrics_of(std::span<const Needs> available, std::span<const int> top_k);

/// Values by metric and slice.
struct Figures {
  struct Figure {
    std::string name;
    std::array<std::optional<double>, kEverySlice.size()> values;  // by Slice
  };
  std::array<std::int64_t, kEverySlice.size()> n{};  // rows, by Slice
  std::vector<Figure> figures;

  /// Throws Error for a name that is not among them.
  const std::optional<double>& of(std::string_view name, Slice slice = Slice::all) const;
  std::int64_t rows(Slice slice = Slice::all) const { return n[static_cast<std::size_t>(slice)]; }
};
/// Adds {"n": {"all": .., "cold": .., "tail": ..}, "auc": {..}, "recall@10": {..}, ...}; null stands where a
/// metric has no value.
void add_figures(nlohmann::json& json, const Figures& figures);

}  // namespace sllmr
