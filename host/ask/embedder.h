// Texts into vectors by any /v1/embeddings server, through the answer cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "host/ask/answer_cache.h"
#include "host/ask/cost.h"
#include "host/ask/scorer.h"
#include "kernels/exec/not_copied.h"

namespace sllmr {

/// Each different text is asked for once, and cached by (server, model, text). Of `options` it reads url,
/// server, chat.model, http, cache, texts_per_request, max_bad_share, prices and progress.
class Embedder : NotCopied {
 public:
  using Vector = std::vector<float>;

  /// Keeps references to both; `summary` is added to.
  Embedder(const ScorerOptions& options, ScoreSummary& summary);

  /// What embed() will cost, by what the cache holds; asks nobody.
  Forecast forecast(std::span<const std::string> texts);

  /// One vector of unit length for each text, all of one size; empty for texts that got none. False after
  /// Ctrl-C: what was answered is in the cache. Throws Error when the server refuses key, model or address or
  /// cannot be reached from the beginning, and when more than max_bad_share of the texts get none.
  bool embed(std::span<const std::string> texts, std::vector<Vector>& vectors);

 private:
  /// One of the different texts.
  struct Text {
    std::string text, key;
    bool damaged = false;  // what the cache holds
  };

  /// Lists the different texts.
  void take(std::span<const std::string> texts);
  /// Vectors of different sizes are of different models, and most are of the right one: a size that more than
  /// half of all texts have is settled.
  void count(const Vector& vector, std::int64_t texts);
  /// Asks for the missing texts. False after Ctrl-C.
  bool ask();
  /// Throws Error where too many of the texts that are `done` have no vector.
  void check_share(std::int64_t done) const;

  const ScorerOptions& options_;
  ScoreSummary& summary_;
  AnswerCache cache_;
  std::vector<Text> texts_;
  std::vector<Vector> vectors_;                 // of texts_
  std::vector<std::size_t> place_;              // in texts_, of each text given
  std::vector<std::size_t> missing_;            // in texts_
  std::map<std::size_t, std::int64_t> counts_;  // size of a vector to the texts that have one
  std::size_t width_ = 0;                       // 0: not settled
};

}  // namespace sllmr
