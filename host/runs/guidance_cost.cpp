#include "host/runs/guidance_cost.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/scores/table_origin.h"

namespace sllmr {
namespace {

using nlohmann::json;

double number(const json& summary, const char* name) {
  const auto found = summary.find(name);
  return found != summary.end() && found->is_number() ? found->get<double>() : 0;
}

/// What is known of one file; an empty object for nothing.
json cost_of(const std::string& path) {
  const std::optional<TableOrigin> origin = read_origin(path);
  if (!origin || !is_origin_of(*origin, path)) return json::object();
  const json none = json::object();
  const auto found = origin->run.is_object() ? origin->run.find("summary") : origin->run.end();
  const json& summary = found != origin->run.end() && found->is_object() ? *found : none;
  if (number(summary, "answers") <= 0) return none;
  json cost = none;
  if (number(summary, "tokens_in") > 0) {
    for (const char* tokens : {"tokens_in", "tokens_out"}) cost[tokens] = summary.value(tokens, json());
  }
  if (number(summary, "money") > 0) cost["money"] = summary["money"];
  if (number(summary, "answer_seconds") > 0) cost["seconds"] = summary["answer_seconds"];
  return cost;
}

}  // namespace

json guidance_cost(const Config& config, const GuidanceReads& reads) {
  std::vector<json> files;
  if (reads.scores && config.llm.scorer == "file") files.push_back(cost_of(config.llm.scores));
  if (reads.vectors && config.llm.encoder == "file") files.push_back(cost_of(config.llm.vectors));
  json sum;
  for (const char* part : {"tokens_in", "tokens_out", "money", "seconds"}) {
    sum[part] = nullptr;
    bool known = !files.empty();
    double total = 0;
    for (const json& file : files) {
      known = known && file.contains(part) && file[part].is_number();
      total += number(file, part);
    }
    if (!known) continue;
    const bool counts = std::string(part).starts_with("tokens");
    sum[part] = counts ? json(static_cast<std::int64_t>(total)) : json(total);
  }
  return sum;
}

}  // namespace sllmr
