// Tables of runs as plain text.
#pragma once

#include <string>

#include "experiments/results/result_table.h"

namespace sllmr {

/// An aligned line for each row: the shown figures of the table's only column, and a run's seconds.
std::string plain_text(const ResultTable& table);

}  // namespace sllmr
