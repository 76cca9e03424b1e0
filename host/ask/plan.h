// Whom to ask first, and how many the budget allows.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "host/ask/candidates.h"

namespace sllmr {

/// Who comes first. All of it follows from training data; ties are in random order (by seed).
enum class Priority {
  sampled,    // nobody: users in random order
  cold,       // fewest training interactions
  tail,       // largest share of tail items among probe and history
  uncertain,  // popularity tells the candidates apart least: normalised entropy of their popularities,
              // highest
};
inline constexpr const char* kPriorities[] = {"sampled", "cold", "tail", "uncertain"};

/// Limits; 0: none. Tokens and money are estimates.
struct Budget {
  std::int64_t users = 0, prompts = 0;
  double tokens = 0, money = 0;
};

/// What asking about one set costs.
struct SetCost {
  std::int64_t prompts = 0;
  double tokens = 0, money = 0;
};

/// Keeps the sets that come first and fit the budget together, in the order of the users. Sets without
/// history or with fewer than 2 candidates are left out: there is nothing to judge. Sorting ends at the first
/// set that does not fit. `cost` is called for sets in the order of priority until then.
std::vector<CandidateSet> choose_sets(const Split& split, std::vector<CandidateSet> sets, Priority priority,
                                      const Budget& budget, std::uint64_t seed,
                                      const std::function<SetCost(const CandidateSet&)>& cost);

/// What must hold for every set before anybody is asked: the history is training items other than the probe,
/// no validation or test item; candidates are no training items but the probe. Counts violations.
struct PlanAudit {
  std::int64_t sets = 0, history_items = 0, candidates = 0;
  std::int64_t held_out_in_history = 0;  // validation or test items
  std::int64_t probe_in_history = 0;
  std::int64_t foreign_in_history = 0;   // not the user's at all
  std::int64_t train_in_candidates = 0;  // training items other than the probe
  std::int64_t held_out_in_candidates =
      0;  // legal: a strict pipeline does not know them, so chance puts some there
  bool clean() const {
    return held_out_in_history + probe_in_history + foreign_in_history + train_in_candidates == 0;
  }
};
PlanAudit audit_plan(const Split& split, const std::vector<CandidateSet>& sets);

}  // namespace sllmr
