// Answers that are one label.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "host/ask/answer.h"
#include "host/ask/answer_labels.h"
#include "host/ask/answer_token.h"

namespace sllmr {

ReadAnswer read_choice(std::span<const TokenLogprob> top, std::size_t candidates) {
  const answers::CandidateLabels labels(candidates);
  std::vector<double> mass(candidates, 0.0);
  for (const auto& [token, logprob] : top) {
    if (!(logprob <= 0)) continue;  // NaN too
    const std::string_view bare = answers::bare_token(token);
    // "a" is an article, not a label.
    if (bare.empty() || std::any_of(bare.begin(), bare.end(), [](char c) { return c < 'A' || c > 'Z'; }))
      continue;
    if (const auto position = labels.find(bare)) mass[*position] += std::exp(logprob);
  }
  ReadAnswer answer;
  double lowest = std::numeric_limits<double>::infinity(), sum = 0;
  std::size_t listed = 0;
  for (const double m : mass) {
    if (!(m > 0)) continue;
    lowest = std::min(lowest, m);
    ++listed;
  }
  // One label of several says nothing of the others, and all would score the same.
  if (listed < std::min<std::size_t>(candidates, 2)) listed = 0;
  answer.faults.missing = static_cast<std::int64_t>(candidates - listed);
  if (listed == 0) {
    answer.scores.assign(candidates, std::numeric_limits<float>::quiet_NaN());
    return answer;
  }
  for (double& m : mass) {
    m = std::max(m, lowest);
    sum += m;
  }
  for (const double m : mass) answer.scores.push_back(static_cast<float>(std::log(m / sum)));
  return answer;
}

}  // namespace sllmr
