// What the LLM says of a (user, item).
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "host/scores/score_table.h"

namespace sllmr {

/// Looks scores up, or what a method makes of them.
class Judged {
 public:
  /// `of_score`: what score() gives for a score of the table, itself where it is left out.
  explicit Judged(const ScoreTable& table, const std::function<float(float)>& of_score = {});

  /// Of (user, item), in [0, 1]; NaN where the table has no score.
  float score(Id user, Id item) const;

 private:
  std::vector<std::int64_t> offsets_;          // [users + 1]
  std::vector<std::pair<Id, float>> by_item_;  // a user's entries, by item
};

}  // namespace sllmr
