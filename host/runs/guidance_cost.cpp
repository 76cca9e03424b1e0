#include "host/runs/guidance_cost.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/guidance/registry.h"
#include "host/scores/table_origin.h"

namespace sllmr {
namespace {

using nlohmann::json;

double number(const json& summary, const char* name) {
  const auto found = summary.find(name);
  return found != summary.end() && found->is_number() ? found->get<double>() : 0;
}

/// The summaries of what was asked for one file: for vectors of written texts, of the texts too.
std::vector<json> summaries_of(const json& run) {
  std::vector<json> asked;
  const auto add = [&](const json& part) {
    const auto found = part.is_object() ? part.find("summary") : part.end();
    if (found != part.end() && found->is_object() && number(*found, "answers") > 0) asked.push_back(*found);
  };
  add(run);
  if (run.is_object() && run.contains("texts")) add(run["texts"]);
  return asked;
}

/// What is known of one summary.
json cost_of(const json& summary) {
  json cost = json::object();
  if (number(summary, "tokens_in") > 0) {
    for (const char* tokens : {"tokens_in", "tokens_out"}) cost[tokens] = summary.value(tokens, json());
  }
  if (number(summary, "money") > 0) cost["money"] = summary["money"];
  if (number(summary, "answer_seconds") > 0) cost["seconds"] = summary["answer_seconds"];
  return cost;
}

/// Adds what is known of a file; an empty object for nothing.
void add_costs(const std::string& path, std::vector<json>& costs) {
  const std::optional<TableOrigin> origin = read_origin(path);
  const bool known = origin && is_origin_of(*origin, path);
  const std::vector<json> summaries = known ? summaries_of(origin->run) : std::vector<json>();
  for (const json& summary : summaries) costs.push_back(cost_of(summary));
  if (summaries.empty()) costs.push_back(json::object());
}

}  // namespace

json guidance_cost(const Config& config, const GuidanceReads& reads) {
  std::vector<json> costs;
  if (reads.scores && config.llm.scorer == "file") add_costs(config.llm.scores, costs);
  if (reads.vectors && config.llm.encoder == "file") add_costs(config.llm.vectors, costs);
  for (const std::string& path : written_files_of(config)) add_costs(path, costs);
  json sum;
  for (const char* part : {"tokens_in", "tokens_out", "money", "seconds"}) {
    sum[part] = nullptr;
    bool known = !costs.empty();
    double total = 0;
    for (const json& cost : costs) {
      known = known && cost.contains(part) && cost[part].is_number();
      total += number(cost, part);
    }
    if (!known) continue;
    const bool counts = std::string(part).starts_with("tokens");
    sum[part] = counts ? json(static_cast<std::int64_t>(total)) : json(total);
  }
  return sum;
}

}  // namespace sllmr
