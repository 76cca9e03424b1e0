// Judgements that are there already: the candidates of a plan looked up in a finished table.
#include <algorithm>

#include "host/ask/scorer.h"
#include "kernels/exec/error.h"

namespace sllmr {

ScoreResult score_file(const ScoreJob& job) {
  require(!job.options.file.empty(), "the scorer file needs a table: give --in");
  const ScoreTable table = read_scores(job.options.file, *job.split.data, job.options.min_known);
  ScoreResult result;
  for (const CandidateSet& set : job.sets) {
    const auto items = table.items_of(set.user);
    const auto scores = table.scores_of(set.user);
    for (const Id item : set.candidates) {
      const auto found = std::find(items.begin(), items.end(), item);
      const bool judged = found != items.end();
      result.summary.defaulted += !judged;
      const auto k = static_cast<std::size_t>(found - items.begin());
      result.scores.push_back({set.user, item, judged ? scores[k] : kNoJudgement, item == set.probe,
                               judged ? table.variance_of(set.user, k) : 0.0F});
    }
  }
  result.summary.pairs = static_cast<std::int64_t>(result.scores.size());
  return result;
}

}  // namespace sllmr
