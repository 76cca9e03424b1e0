// What a score table can tell about leaks by itself.
#pragma once

#include <cstdint>
#include <string>

#include "host/scores/score_table.h"

namespace sllmr {

struct LeakageAudit {
  std::int64_t probes = 0, probes_not_in_training = 0;
  std::int64_t candidates = 0;  // other than probes
  std::int64_t training_candidates =
      0;  // the user's training items among them: the LLM may have seen the answer
  std::int64_t held_out_candidates = 0;  // the user's validation and test items among them
  /// How many held-out items chance puts there, the larger of two estimates. By others: how often other users
  /// got the item as a candidate, with as many uniform draws from the catalogue as the user has candidates,
  /// so that what few users got is no certainty. By controls: how many of the 20 items next to it in
  /// popularity that the user has not touched are candidates, since who has touched much of what is popular
  /// gets the rest of it more often than others do.
  double held_out_expected = 0;
  /// More than chance puts there once in a thousand tables (Poisson): candidates were drawn with knowledge of
  /// held-out items.
  bool too_many() const;
  /// As few as chance puts there once in a thousand tables: held-out items were kept away, which takes the
  /// same knowledge.
  bool too_few() const;
};
LeakageAudit audit_table(const ScoreTable& table, const Split& split);
/// "2018 of the users' validation and test items are among their 80720 candidates, where chance puts 27.4".
std::string leak_text(const LeakageAudit& audit);

}  // namespace sllmr
