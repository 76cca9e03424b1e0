#include "experiments/experiment_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "host/base/nearest.h"
#include "host/base/text_file.h"
#include "host/base/toml_text.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// Reads one TOML table of the experiment; every key is known or an error.
class Reader {
 public:
  Reader(std::string path, const toml::table& table, std::vector<std::string> keys)
      : path_(std::move(path)), table_(table) {
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      require(std::ranges::find(keys, name) != keys.end(),
              fmt::format("{}:{}: unknown key '{}'; did you mean '{}'?", path_, node.source().begin.line,
                          name, nearest_name(name, keys)));
    }
  }

  std::string text(const char* key) const {
    const auto value = table_[key].value<std::string>();
    require(value.has_value() && !value->empty(), missing(key, "a string"));
    return *value;
  }
  template <class Element>
  std::vector<Element> list(const char* key) const {
    std::vector<Element> out;
    if (!table_.contains(key)) return out;
    const toml::array* array = table_[key].as_array();
    require(array != nullptr, missing(key, "an array"));
    for (const toml::node& node : *array) {
      const auto value = node.value<Element>();
      require(value.has_value(), missing(key, "an array of one type"));
      out.push_back(*value);
    }
    return out;
  }

 private:
  std::string missing(const char* key, const char* what) const {
    return fmt::format("{}:{}: '{}' must be {}", path_, table_.source().begin.line, key, what);
  }
  std::string path_;
  const toml::table& table_;
};

template <class Function>
void for_each_table(const toml::table& table, const char* key, const std::string& path, Function&& function) {
  const toml::array* array = table[key].as_array();
  if (array == nullptr) return;
  for (const toml::node& node : *array) {
    require(node.is_table(), fmt::format("{}: '{}' must be tables: [[{}]]", path, key, key));
    function(*node.as_table());
  }
}

}  // namespace

Experiment read_experiment(const std::string& path) {
  const toml::table table = parse_toml(read_text_file(path, "the experiment"), path);
  Experiment out;
  const Reader top(path, table, {"title", "recipe", "metric", "out", "column", "row", "cell"});
  out.title = top.text("title");
  out.recipe = top.text("recipe");
  out.metric = top.text("metric");
  out.out = top.text("out");
  for_each_table(table, "column", path, [&](const toml::table& each) {
    const Reader reader(path, each, {"name", "set", "seeds"});
    out.columns.push_back(
        {reader.text("name"), reader.list<std::string>("set"), reader.list<std::int64_t>("seeds")});
    require(!out.columns.back().seeds.empty(),
            fmt::format("{}: column '{}' has no seeds", path, out.columns.back().name));
  });
  for_each_table(table, "row", path, [&](const toml::table& each) {
    const Reader reader(path, each, {"name", "set", "reference"});
    out.rows.push_back(
        {reader.text("name"), reader.list<std::string>("set"), {}, reader.list<double>("reference")});
    const TableAxis& row = out.rows.back();
    require(row.reference.empty() || row.reference.size() == out.columns.size(),
            fmt::format("{}: row '{}' has {} reference figures for {} columns", path, row.name,
                        row.reference.size(), out.columns.size()));
    require(std::ranges::all_of(row.reference, [](double x) { return std::isfinite(x); }),
            fmt::format("{}: row '{}' has a reference figure that is not finite", path, row.name));
  });
  const auto known = [&](const std::vector<TableAxis>& axes, const std::string& name) {
    require(std::ranges::find(axes, name, &TableAxis::name) != axes.end(),
            fmt::format("{}: a [[cell]] names '{}', which is no row or column", path, name));
  };
  for_each_table(table, "cell", path, [&](const toml::table& each) {
    const Reader reader(path, each, {"row", "column", "set"});
    out.rules.push_back({reader.text("row"), reader.text("column"), reader.list<std::string>("set")});
    known(out.rows, out.rules.back().row);
    known(out.columns, out.rules.back().column);
  });
  require(!out.rows.empty() && !out.columns.empty(),
          fmt::format("{}: needs a [[row]] and a [[column]]", path));
  return out;
}

}  // namespace sllmr
