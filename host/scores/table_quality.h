// How good a score table is: coverage, reliability, calibration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/scores/score_table.h"

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

struct Coverage {
  std::int64_t users = 0, scored_users = 0, cold_users = 0, scored_cold = 0;
  std::int64_t items = 0, scored_items = 0, tail_items = 0, scored_tail = 0;
  std::int64_t pairs = 0, at_default = 0;         // exactly 0.5
  std::int64_t fewest = 0, median = 0, most = 0;  // candidates of a scored user
  double ties = 0;                                // share of a user's pairs of candidates with equal scores
};
Coverage coverage(const ScoreTable& table, const Split& split);

}  // namespace sllmr
