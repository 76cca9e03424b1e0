// LLM scores for benchmarks.
#pragma once

#include <vector>

#include "host/ask/candidates.h"
#include "host/scores/score_table.h"
#include "kernels/exec/random.h"

namespace sllmr::bench {

/// A table of random scores: what they say costs nothing, where they lie does.
inline ScoreTable random_scores(const Split& split) {
  std::vector<LlmScore> scores;
  for (const CandidateSet& set : plan_candidates(split, {})) {
    for (const Id item : set.candidates) {
      const std::uint64_t key =
          (static_cast<std::uint64_t>(set.user) << 32) | static_cast<std::uint32_t>(item);
      scores.push_back(
          {set.user, item, uniform(philox(1, 0, key, Purpose::noise).word[0]), item == set.probe});
    }
  }
  return make_score_table(*split.data, scores, "random");
}

}  // namespace sllmr::bench
