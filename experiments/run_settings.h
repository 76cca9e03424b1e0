// key=value settings that a table gives to all of its runs or to some.
#pragma once

#include <string>
#include <vector>

#include "host/config/config.h"

namespace sllmr {

/// Settings that stand in one place.
struct Settings {
  std::string where;               // "command line", "row 'wide'"
  std::vector<std::string> words;  // key=value
  bool must_be_used = true;        // false: other runs, which are not asked for, may be what it is for
};

/// What a run of a table is told: indexes into its Settings, later ones win, and what only this run has.
struct RunSettings {
  std::vector<std::size_t> from;
  std::vector<std::string> own;
};

/// The configurations of a table's runs. A setting is left out of the runs that have no use for it, for
/// others of the table may have. Throws Error as load_config() and unused_keys() do, and for a setting that
/// none of its runs has a use for.
std::vector<Config> load_runs(const std::string& recipe, const std::vector<Settings>& settings,
                              const std::vector<RunSettings>& runs);

/// Splits "a,b=[1,2],c" at the commas outside of brackets. Throws Error where nothing stands between two of
/// them; `option` says whose value it is.
std::vector<std::string> split_list(const std::vector<std::string>& texts, const std::string& option);

}  // namespace sllmr
