// How good a score table is, before any training: leakage, coverage, reliability, calibration.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/llm/score_table.h"
#include "host/llm/table_origin.h"

namespace sllmr {

/// A share with the limits of its 95 % interval (Wilson's). For means of values in [0, 1] too: there the
/// interval is wider than need be. All NaN for n = 0.
struct Proportion {
  double value = 0, low = 0, high = 0;
  std::int64_t n = 0;
};
Proportion wilson(double mean, std::int64_t n);

/// Agreement of a user: the share of the other candidates ranked below the probe, ties half.
struct ReliabilityCell {
  Proportion llm;         // mean over users
  double popularity = 0;  // the same for the order by training popularity, to compare with
};

/// Rows: training interactions before the probe. Columns: popularity of the probe, as the share of the
/// catalogue that is less popular.
struct ReliabilityMap {
  std::vector<std::string> history_labels, popularity_labels;
  std::vector<std::vector<ReliabilityCell>> cells;  // by history, popularity
  ReliabilityCell all, cold, warm, tail, head;      // tail, head: of the probe
};
ReliabilityMap reliability_map(const ScoreTable& table, const Split& split);

/// Of the candidates with a score in a bin, how many are probes? Rises with the score where scores mean
/// something.
struct CalibrationBin {
  double low = 0, high = 0;  // of the scores; the last bin includes 1
  double mean_score = 0;
  Proportion probes;
};
struct Calibration {
  std::vector<CalibrationBin> bins;  // ten; empty ones have n = 0
  double base_rate = 0;              // share of probes among all
  double rank_correlation = 0;       // of bin and share of probes, over bins with entries; NaN below 2
};
Calibration calibration(const ScoreTable& table);

/// What a table can tell about leaks by itself.
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

struct Coverage {
  std::int64_t users = 0, scored_users = 0, cold_users = 0, scored_cold = 0;
  std::int64_t items = 0, scored_items = 0, tail_items = 0, scored_tail = 0;
  std::int64_t pairs = 0, at_default = 0;         // exactly 0.5
  std::int64_t fewest = 0, median = 0, most = 0;  // candidates of a scored user
  double ties = 0;                                // share of a user's pairs of candidates with equal scores
};
Coverage coverage(const ScoreTable& table, const Split& split);

/// Everything as JSON: {"table", "origin", "leakage", "coverage", "cost", "reliability", "calibration",
/// "position_bias", "freshness"}. `origin` adds what only the scoring run knows: cost, position bias, prompt
/// audit.
nlohmann::json report(const ScoreTable& table, const Split& split, const std::optional<TableOrigin>& origin,
                      std::int64_t now);

}  // namespace sllmr
