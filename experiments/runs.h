// Runs that an experiment is made of: each is done once and kept.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/config/config.h"

namespace sllmr {

/// The summary of one run: the stored one if it is there and of this configuration, else a new or resumed
/// run's. Throws Interrupted after Ctrl-C, and Error where the folder holds a run of another configuration.
nlohmann::json run_once(const Config& config);

/// Mean and standard deviation over the values that are not null; `n` of them. Without one both are NaN, with
/// one the deviation is.
struct Spread {
  int n = 0;
  double mean = 0, deviation = 0;
};
Spread spread_of(const std::vector<nlohmann::json>& values);
/// "0.7134 ± 0.0012", "0.7134" for one value, "-" for none.
std::string to_text(const Spread& spread);

/// "data 1f.., commit .., machine": where the figures of a run's summary come from.
std::string provenance_text(const nlohmann::json& summary);

}  // namespace sllmr
