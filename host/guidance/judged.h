// What the LLM says of a (user, item).
#pragma once

#include <utility>
#include <vector>

#include "host/scores/score_table.h"

namespace sllmr {

/// Looks scores up.
class Judged {
 public:
  explicit Judged(const ScoreTable& table);

  /// The score of (user, item), in [0, 1]; NaN where there is none.
  float score(Id user, Id item) const;

 private:
  std::vector<std::int64_t> offsets_;          // [users + 1]
  std::vector<std::pair<Id, float>> by_item_;  // a user's entries, by item
};

}  // namespace sllmr
