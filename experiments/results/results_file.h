// A table of runs as a file of JSON: docs/results.md has its fields.
#pragma once

#include <span>
#include <string>

#include "experiments/results/result_table.h"

namespace sllmr {

inline constexpr const char* kResultsFile = "results.json";

/// One line an element of the long lists.
std::string results_json(const ResultTable& table);

/// Throws Error where `path` is one of `inputs`, or, unless `force`, a file that holds no such table.
void check_results_file(const std::string& path, std::span<const std::string> inputs, bool force);

/// Writes the file, with its folder, whole or not at all. Throws Error naming path and cause.
void write_results(const std::string& path, const ResultTable& table);

}  // namespace sllmr
