// Whom the LLM is asked about: the candidate sets of the paper's section 1 and a probe for each user.
#pragma once

#include <cstdint>
#include <vector>

#include "host/data/split.h"

namespace sllmr {

struct CandidateOptions {
  int per_user = 40;           // candidates of a user, the probe among them
  int prompt_history = 10;     // training interactions in the prompt, the probe not among them
  int popularity_pool = 1000;  // top-K items by training popularity
  double tail_bottom = 0.1;    // "tail" candidates: this share of the items, least popular first
  std::uint64_t seed = 1;
};

/// What the scorer sees of one user. Nothing in it comes from validation or test interactions.
struct CandidateSet {
  Id user = 0;
  std::vector<Id> history;     // up to prompt_history training items before the probe, oldest first
  std::vector<Id> candidates;  // shuffled; the probe is one of them
  Id probe = 0;  // the user's last training item; 0 where the user has fewer than 2 training items
};

/// One set a user, in the order of the ids. The probe's company comes from the paper's sources, as quotas:
///
///                                               warm users   cold users
///   popularity pool, in proportion to popularity    1/2          1/4
///   tail                                            1/4          1/4
///   whole catalogue, uniform                        1/4          1/2    (the paper: cold users, diverse
///   items)
///
/// No item of the user's training history but the probe, and no item twice. Validation and test items may
/// appear by chance: a strict pipeline does not know them. Where the catalogue has fewer than per_user such
/// items, all of them. A user's set depends on the data, the options and the seed only. Throws Error for
/// options out of range.
std::vector<CandidateSet> plan_candidates(const Split& split, const CandidateOptions& options);

}  // namespace sllmr
