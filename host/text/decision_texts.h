// What LLM-CF's form without a language model says in place of a chain of thought.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/data/features.h"

namespace sllmr {

/// Of each row "The user bought TITLE; TITLE; ... . The user buys TITLE." or "... does not buy TITLE.", by
/// its label: the titles of the last `max_history` items before the row, oldest first, and of its item; the
/// first sentence is left out where there are none. Told the outcome, as LLM-CF's prompts are.
std::vector<std::string> decision_texts(const Dataset& data, std::span<const FeatureRow> rows,
                                        std::span<const std::int8_t> labels, int max_history);

}  // namespace sllmr
