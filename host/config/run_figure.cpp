#include "host/config/run_figure.h"

#include <fmt/format.h>

#include <filesystem>

#include "host/base/json_text.h"
#include "host/base/text_file.h"
#include "kernels/exec/error.h"

namespace sllmr {

double mean_weight_of_run(const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / "summary.json").string();
  require(std::filesystem::exists(path),
          fmt::format("gate.mean_alpha: '{}' is neither a number in [0, 1] nor the folder of a finished run: "
                      "there is no '{}'",
                      folder, path));
  const nlohmann::json summary = parse_json(read_text_file(path, "the summary")).value_or(nlohmann::json());
  const nlohmann::json::json_pointer weight("/guidance/mean_weight");
  if (!summary.is_object() || !summary.contains(weight) || !summary[weight].is_number()) {
    throw Error(fmt::format("gate.mean_alpha: '{}' has no guidance.mean_weight: name a run of a gate", path));
  }
  return summary[weight].get<double>();
}

}  // namespace sllmr
