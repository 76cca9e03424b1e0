// The flags of every command that reads data without a recipe.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "host/data/import.h"

namespace sllmr {

/// Adds the flags that stand for the keys of a recipe's [data]: --items, --keep, --min-rating,
/// --duplicates, --from, --to, --core, --split, --min-described, and `format_flag` for data.format.
void add_import_options(CLI::App& command, ImportOptions& options, const std::string& format_flag);

}  // namespace sllmr
