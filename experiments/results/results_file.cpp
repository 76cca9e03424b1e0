#include "experiments/results/results_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "host/base/atomic_file.h"
#include "host/base/json_text.h"
#include "host/base/output_file.h"
#include "host/base/text_file.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using Json = nlohmann::ordered_json;  // fields in the order of docs/results.md

constexpr int kSchema = 1;

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json cells_of(const ResultTable& table) {
  Json cells = Json::array();
  for (const RunResult& run : table.runs) {
    for (const Figure& figure : run.figures) {
      cells.push_back({{"row", table.rows[run.row]},
                       {"column", table.columns[run.column]},
                       {"seed", run.seed},
                       {"metric", figure.name.metric},
                       {"slice", figure.name.slice},
                       {"value", figure.value ? Json(*figure.value) : Json()}});
    }
  }
  return cells;
}

Json runs_of(const ResultTable& table) {
  Json runs = Json::array();
  for (const RunResult& run : table.runs) {
    runs.push_back({{"row", table.rows[run.row]},
                    {"column", table.columns[run.column]},
                    {"seed", run.seed},
                    {"folder", run.folder},
                    {"data_hash", text_or_null(run.data_hash)},
                    {"feature_hash", text_or_null(run.feature_hash)},
                    {"text_hash", text_or_null(run.text_hash)},
                    {"scores_hash", text_or_null(run.scores_hash)},
                    {"vectors_hash", text_or_null(run.vectors_hash)},
                    {"gate_hash", text_or_null(run.gate_hash)},
                    {"commit", run.commit},
                    {"machine", run.machine},
                    {"device", run.device},
                    {"threads", run.threads},
                    {"seconds", run.seconds},
                    {"config", run.config}});
  }
  return runs;
}

Json published_of(const ResultTable& table) {
  Json published = Json::array();
  for (const Published& each : table.published) {
    published.push_back({{"row", table.rows[each.row]},
                         {"column", table.columns[each.column]},
                         {"metric", to_text(table.shown.at(each.figure).name)},
                         {"value", each.value}});
  }
  return published;
}

/// In one line; bytes that are not UTF-8 are replaced.
std::string line_of(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_results(const std::string& path) {
  const auto stored = parse_json(read_text_file(path, "the results"));
  return stored && stored->is_object() && stored->contains("cells") && stored->contains("schema") &&
         stored->at("schema") == kSchema;
}

}  // namespace

std::string results_json(const ResultTable& table) {
  const Json whole = {
      {"schema", kSchema},          {"title", table.title},   {"metric", to_text(table.shown.at(0).name)},
      {"complete", table.complete}, {"rows", table.rows},     {"columns", table.columns},
      {"cells", cells_of(table)},   {"runs", runs_of(table)}, {"published", published_of(table)}};
  std::string text;
  for (const auto& [key, value] : whole.items()) {
    text += fmt::format("{}\n\"{}\": ", text.empty() ? "{" : ",", key);
    if (!value.is_array() || value.empty() || !value[0].is_object()) {
      text += line_of(value);
      continue;
    }
    for (std::size_t k = 0; k < value.size(); ++k) text += (k == 0 ? "[\n  " : ",\n  ") + line_of(value[k]);
    text += "\n]";
  }
  return text + "\n}\n";
}

void check_results_file(const std::string& path, std::span<const std::string> inputs, bool force) {
  check_output(path, inputs, is_results, force);
}

void write_results(const std::string& path, const ResultTable& table) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, fmt::format("cannot create folder '{}': {}", folder.string(), error.message()));
  AtomicFile file(path);
  file.stream() << results_json(table);
  file.commit();
}

}  // namespace sllmr
