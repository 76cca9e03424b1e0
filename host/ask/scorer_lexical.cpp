// The stand-in for an LLM where none is at hand: how similar are the texts of the history and of the
// candidate?
//
// A text is the words of an item's title and its attributes, which are terms of their own. Cosine of TF-IDF
// vectors; the history is one text, its items' texts joined. Raw cosines are small and not comparable between
// users, so a user's scores are divided by the user's largest, which keeps their order. Without a text, a
// history or any common term there is no judgement: 0.5.
#include <algorithm>
#include <atomic>
#include <map>
#include <string>

#include "host/ask/scorer.h"
#include "host/base/tf_idf.h"
#include "kernels/exec/parallel.h"

namespace sllmr {
namespace {

/// The catalogue by item id. The ids of terms: attributes first, then words.
TfIdf index_texts(const Dataset& data) {
  TfIdfBuilder builder;
  TokenMap words;
  const Id n_attributes = data.attributes.rows();
  builder.add({});  // item 0 is padding
  for (Id item = 1; item < data.items.rows(); ++item) {
    std::map<Id, double> counts;
    for (const Id attribute : data.attributes_of(item)) ++counts[attribute];
    for_each_word(data.titles[item],
                  [&](const std::string& word) { ++counts[n_attributes + words.add(word)]; });
    builder.add(counts);
  }
  return builder.finish();
}

/// Writes the scores of a set's candidates to `out` and returns how many have no judgement. `query` has a
/// zero for every term, and has so again afterwards.
std::int64_t score_set(const TfIdf& index, const CandidateSet& set, std::vector<double>& query,
                       LlmScore* out) {
  for (const Id item : set.history) {
    for (const TfIdf::Term& term : index.of(item)) query[term.id] += term.weight;
  }
  // The history's own norm is the same for all candidates: dividing by the largest score cancels it.
  std::vector<double> cosine;
  for (const Id item : set.candidates) {
    double dot = 0;
    for (const TfIdf::Term& term : index.of(item)) dot += term.weight * query[term.id];
    const double norm = index.norm[item];
    cosine.push_back(norm > 0 ? dot / norm : -1.0);
  }
  for (const Id item : set.history) {
    for (const TfIdf::Term& term : index.of(item)) query[term.id] = 0;
  }

  const double largest = cosine.empty() ? 0.0 : *std::max_element(cosine.begin(), cosine.end());
  std::int64_t defaulted = 0;
  for (std::size_t k = 0; k < cosine.size(); ++k) {
    const bool judged = largest > 0 && cosine[k] >= 0;
    defaulted += !judged;
    out[k] = {set.user, set.candidates[k], judged ? static_cast<float>(cosine[k] / largest) : kNoJudgement,
              set.candidates[k] == set.probe};
  }
  return defaulted;
}

}  // namespace

ScoreResult score_lexical(const ScoreJob& job) {
  const std::vector<CandidateSet>& sets = job.sets;
  const TfIdf index = index_texts(*job.split.data);
  std::vector<std::size_t> first = {0};
  for (const CandidateSet& set : sets) first.push_back(first.back() + set.candidates.size());

  ScoreResult result;
  std::vector<LlmScore>& scores = result.scores;
  scores.resize(first.back());
  const auto n_sets = static_cast<std::int64_t>(sets.size());
  constexpr std::int64_t kSetsAtOnce = 64;
  std::atomic<std::int64_t> defaulted = 0;
  SharedItems blocks((n_sets + kSetsAtOnce - 1) / kSetsAtOnce);
  on_threads(default_threads(), [&](int) {
    std::vector<double> query(index.n_terms, 0.0);
    blocks.take([&](std::int64_t block) {
      const std::int64_t end = std::min(n_sets, (block + 1) * kSetsAtOnce);
      for (std::int64_t k = block * kSetsAtOnce; k < end; ++k) {
        defaulted += score_set(index, sets[k], query, scores.data() + first[k]);
      }
    });
  });
  result.summary.pairs = static_cast<std::int64_t>(scores.size());
  result.summary.defaulted = defaulted;
  return result;
}

}  // namespace sllmr
