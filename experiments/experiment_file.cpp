#include "experiments/experiment_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/base/text_file.h"
#include "host/base/toml_table.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

std::string filled(const TomlTable& table, const char* key, const std::string& path) {
  std::string text = table.text(key);
  require(!text.empty(), fmt::format("{}: '{}' is empty", path, key));
  return text;
}

}  // namespace

Experiment read_experiment(const std::string& path) {
  const TomlTable table(read_text_file(path, "the experiment"), path,
                        {"title", "recipe", "metric", "out", "runs", "column", "row", "cell", "fast"});
  Experiment out;
  out.title = filled(table, "title", path);
  out.recipe = filled(table, "recipe", path);
  out.metrics = table.texts("metric");
  require(!out.metrics.empty() && std::ranges::find(out.metrics, "") == out.metrics.end(),
          fmt::format("{}: 'metric' is missing or empty; name a figure, as 'auc'", path));
  out.out = filled(table, "out", path);
  out.runs = table.text_or("runs", "");
  for (const TomlTable& each : table.tables("column", {"name", "set", "seeds"})) {
    out.columns.push_back(
        {filled(each, "name", path), each.list<std::string>("set"), each.list<std::int64_t>("seeds")});
    require(!out.columns.back().seeds.empty(),
            fmt::format("{}: column '{}' has no seeds", path, out.columns.back().name));
  }
  for (const TomlTable& each : table.tables("row", {"name", "set", "reference"})) {
    out.rows.push_back(
        {filled(each, "name", path), each.list<std::string>("set"), {}, each.list<double>("reference")});
    const TableAxis& row = out.rows.back();
    require(row.reference.empty() || row.reference.size() == out.metrics.size() * out.columns.size(),
            fmt::format("{}: row '{}' has {} reference figures for {} columns and {} metrics", path, row.name,
                        row.reference.size(), out.columns.size(), out.metrics.size()));
    require(std::ranges::all_of(row.reference, [](double x) { return std::isfinite(x); }),
            fmt::format("{}: row '{}' has a reference figure that is not finite", path, row.name));
  }
  const auto known = [&](const std::vector<TableAxis>& axes, const std::string& name) {
    require(std::ranges::find(axes, name, &TableAxis::name) != axes.end(),
            fmt::format("{}: a [[cell]] names '{}', which is no row or column", path, name));
  };
  for (const TomlTable& each : table.tables("cell", {"row", "column", "set"})) {
    out.rules.push_back({each.text("row"), each.text("column"), each.list<std::string>("set")});
    known(out.rows, out.rules.back().row);
    known(out.columns, out.rules.back().column);
  }
  if (const auto fast = table.table("fast", {"rows", "columns", "seeds", "set"})) {
    out.fast = {fast->list<std::string>("rows"), fast->list<std::string>("columns"),
                fast->list<std::string>("set"), fast->list<std::int64_t>("seeds")};
  }
  require(!out.rows.empty() && !out.columns.empty(),
          fmt::format("{}: needs a [[row]] and a [[column]]", path));
  return out;
}

}  // namespace sllmr
