// Tables of runs as Markdown.
#pragma once

#include <string>

#include "experiments/results/result_table.h"

namespace sllmr {

/// A line for each row, a column for each shown figure, of the table's only column; and what it comes from.
/// Where the table has a baseline, each cost of a run is followed by how much more it is.
std::string figures_markdown(const ResultTable& table);

/// Of each shown figure a line for each row, a column for each column of the table, beside what was
/// published; and what it comes from.
std::string columns_markdown(const ResultTable& table);

/// "data 1f.., scores 2e.., commit .., machine": where the figures come from. Names every hash that occurs:
/// of data, and where they were read, of features, texts and scores.
std::string provenance_text(const ResultTable& table);

}  // namespace sllmr
