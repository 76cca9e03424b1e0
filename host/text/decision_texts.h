// What LLM-CF's form without a language model says in place of a chain of thought.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/data/features.h"

namespace sllmr {

/// "The user bought TITLE; TITLE; ... ." of the last `max_history` items before the row, oldest first; empty
/// where none has a title.
std::string bought_text(const Dataset& data, const FeatureRow& row, int max_history);
/// "The user buys TITLE." or "The user does not buy TITLE."
std::string decision_text(const Dataset& data, Id item, bool label);
/// Both, the first left out where it is empty. Told the outcome, as LLM-CF's prompts are.
std::vector<std::string> decision_texts(const Dataset& data, std::span<const FeatureRow> rows,
                                        std::span<const std::int8_t> labels, int max_history);

}  // namespace sllmr
