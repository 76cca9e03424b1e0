// Answers that are "yes" or "no".
#include <cmath>
#include <limits>
#include <string>

#include "host/ask/answer.h"
#include "host/ask/answer_token.h"
#include "host/base/lower_case.h"

namespace sllmr {

ReadAnswer read_yes_no(std::span<const TokenLogprob> top) {
  double yes = 0, no = 0;
  for (const auto& [token, logprob] : top) {
    if (!(logprob <= 0)) continue;
    const std::string word = lower_case(answers::bare_token(token));
    if (word == "yes") yes += std::exp(logprob);
    if (word == "no") no += std::exp(logprob);
  }
  ReadAnswer answer;
  const bool read = yes + no > 0;
  answer.scores.push_back(read ? static_cast<float>(yes / (yes + no))
                               : std::numeric_limits<float>::quiet_NaN());
  answer.faults.missing = !read;
  return answer;
}

}  // namespace sllmr
