// Sentence embeddings from any /v1/embeddings server: how near is the candidate's text to the history's?
//
// A user's history is the mean of its items' unit vectors; a score is (1 + cosine) / 2. Without a history or
// a vector there is no judgement: 0.5.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "host/ask/cost.h"
#include "host/ask/embedder.h"
#include "host/ask/prompt.h"
#include "host/base/stopwatch.h"

namespace sllmr {
namespace {

using Vector = Embedder::Vector;

/// Those of the sets, in the order of their ids.
std::vector<Id> shown_items(const Dataset& data, const std::vector<CandidateSet>& sets) {
  std::vector<std::uint8_t> shown(static_cast<std::size_t>(data.items.rows()), 0);
  for (const CandidateSet& set : sets) {
    for (const Id item : set.history) shown[item] = 1;
    for (const Id item : set.candidates) shown[item] = 1;
  }
  std::vector<Id> items;
  for (Id item = 1; item < data.items.rows(); ++item) {
    if (shown[item]) items.push_back(item);
  }
  return items;
}

}  // namespace

ScoreResult score_embeddings(const ScoreJob& job) {
  const Stopwatch watch;
  ScoreResult result;
  const Dataset& data = *job.split.data;
  const std::vector<Id> items = shown_items(data, job.sets);
  std::vector<std::string> texts;
  for (const Id item : items) texts.push_back(item_text(data, item));
  std::vector<Vector> embedded;
  Embedder embedder(job.options, result.summary);
  result.interrupted = !embedder.embed(texts, embedded);
  if (result.interrupted) return result;
  std::vector<Vector> vectors(static_cast<std::size_t>(data.items.rows()));  // empty: none
  std::size_t width = 0;
  for (std::size_t k = 0; k < items.size(); ++k) {
    width = std::max(width, embedded[k].size());
    vectors[items[k]] = std::move(embedded[k]);
  }

  std::vector<double> history;
  for (const CandidateSet& set : job.sets) {
    history.assign(width, 0.0);
    for (const Id item : set.history) {
      const Vector& vector = vectors[item];
      for (std::size_t k = 0; k < vector.size(); ++k) history[k] += static_cast<double>(vector[k]);
    }
    double squares = 0;
    for (const double x : history) squares += x * x;
    for (const Id item : set.candidates) {
      const Vector& vector = vectors[item];
      const bool judged = !vector.empty() && squares > 0;
      double dot = 0;
      for (std::size_t k = 0; k < vector.size(); ++k) dot += history[k] * static_cast<double>(vector[k]);
      const double score = judged ? 0.5 + 0.5 * dot / std::sqrt(squares) : 0.5;
      result.summary.defaulted += !judged;
      result.scores.push_back(
          {set.user, item, static_cast<float>(std::clamp(score, 0.0, 1.0)), item == set.probe});
    }
  }
  result.summary.pairs = static_cast<std::int64_t>(result.scores.size());
  fill_costs(result.summary, job.options.prices, watch.seconds());
  return result;
}

}  // namespace sllmr
