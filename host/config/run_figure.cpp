#include "host/config/run_figure.h"

#include <fmt/format.h>

#include <filesystem>

#include "host/base/json_text.h"
#include "host/base/text_file.h"
#include "kernels/exec/error.h"

namespace sllmr {

using nlohmann::literals::operator""_json_pointer;

double mean_weight_of_run(const std::string& folder) {
  require(!folder.empty(), "gate.mean_alpha is empty: give a number in [0, 1], or the folder of a run");
  const std::string path = (std::filesystem::path(folder) / "summary.json").string();
  require(std::filesystem::exists(path),
          fmt::format("gate.mean_alpha: '{}' is neither a number in [0, 1] nor the folder of a finished run: "
                      "there is no '{}'",
                      folder, path));
  const nlohmann::json summary = parse_json(read_text_file(path, "the summary")).value_or(nlohmann::json());
  const nlohmann::json::json_pointer weight("/guidance/mean_weight");
  const bool is_of_gate = summary.is_object() && summary.contains("/guidance/rule"_json_pointer);
  if (!is_of_gate || !summary.contains(weight) || !summary[weight].is_number()) {
    throw Error(fmt::format("gate.mean_alpha: '{}' has no guidance.mean_weight: name a run of a gate", path));
  }
  const double mean = summary[weight].get<double>();
  require(mean >= 0 && mean <= 1,
          fmt::format("gate.mean_alpha: the guidance.mean_weight of '{}' is {}, not in [0, 1]", path, mean));
  return mean;
}

}  // namespace sllmr
