#include "host/ask/score_questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "host/ask/answer_cache.h"
#include "kernels/exec/error.h"
#include "kernels/exec/random.h"

namespace sllmr {
namespace {

constexpr std::size_t kMostChoices = 26;  // labels of one letter

/// Order of the candidates in the prompt of permutation `p`; the first is the set's own, which is shuffled.
std::vector<std::size_t> permuted(std::size_t count, std::uint64_t seed, Id user, std::uint32_t p) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (p == 0) return order;
  for (std::size_t k = count; k > 1; --k) {
    const Draw draw =
        philox(seed, p, static_cast<std::uint64_t>(user), Purpose::candidates, static_cast<std::uint32_t>(k));
    std::swap(order[k - 1], order[below(draw.word[0], static_cast<std::uint32_t>(k))]);
  }
  return order;
}

}  // namespace

ScoreQuestions::ScoreQuestions(const ScoreJob& job)
    : Questions(job.options, *job.split.data), job_(job), first_{0} {
  const ScorerOptions& options = job.options;
  require(prompt().about == Subject::candidates,
          fmt::format("the template '{}' asks for texts; see sllmr llm ask", prompt().name));
  const bool yes_no = prompt().answer == AnswerKind::yes_no;
  require(options.permutations >= 1 && options.permutations <= 100,
          fmt::format("{} permutations; give 1 to 100", options.permutations));
  require(!yes_no || options.permutations == 1,
          fmt::format("the template '{}' shows one candidate a prompt: there is nothing to permute",
                      prompt().name));
  for (const CandidateSet& set : job.sets) {
    require(prompt().answer != AnswerKind::choice || set.candidates.size() <= kMostChoices,
            fmt::format("{} candidates a user; the template '{}' labels at most {}, each one letter",
                        set.candidates.size(), prompt().name, kMostChoices));
    const auto prompts = yes_no                   ? static_cast<std::int64_t>(set.candidates.size())
                         : set.candidates.empty() ? 0
                                                  : options.permutations;
    first_.push_back(first_.back() + prompts);
  }
}

Question ScoreQuestions::at(std::int64_t number) const {
  Question question;
  const auto after = std::upper_bound(first_.begin(), first_.end(), number);
  question.set = static_cast<std::size_t>(after - first_.begin()) - 1;
  const CandidateSet& set = job_.sets[question.set];
  const auto part = static_cast<std::uint32_t>(number - first_[question.set]);
  question.order = prompt().answer == AnswerKind::yes_no
                       ? std::vector<std::size_t>{part}
                       : permuted(set.candidates.size(), job_.options.seed, set.user, part);
  std::vector<Id> shown;
  for (const std::size_t k : question.order) shown.push_back(set.candidates[k]);
  set_prompt(question, render_prompt(prompt(), *job_.split.data, domain(), set.history, shown));
  return question;
}

double ScoreQuestions::expected_answer_tokens(const Question& question) const {
  if (prompt().answer != AnswerKind::scores) return 1;
  constexpr double kTokensPerScore = 7;  // "A": 0.85,
  return 2 + kTokensPerScore * static_cast<double>(question.order.size());
}

std::string ScoreQuestions::subject(const Question& question) const {
  return fmt::format("user {}", job_.split.data->users.token(job_.sets[question.set].user));
}

ScoreTally::ScoreTally(const ScoreQuestions& questions) : Tally(questions), job_(questions.job()) {
  const ScoreJob& job = job_;
  std::size_t values = 0;
  const bool yes_no = questions.prompt().answer == AnswerKind::yes_no;
  for (const CandidateSet& set : job.sets) {
    const std::size_t size = set.candidates.size();
    const std::size_t prompts = yes_no     ? size
                                : size > 0 ? static_cast<std::size_t>(job.options.permutations)
                                           : 0;
    for (std::size_t k = 0; k < prompts; ++k) {
      first_.push_back(values);
      values += yes_no ? 1 : size;
    }
  }
  values_.assign(values, std::numeric_limits<float>::quiet_NaN());
}

void ScoreTally::answer(const Question& question, std::int64_t number, const ChatAnswer& answer,
                        const ReadAnswer& read) {
  std::copy(read.scores.begin(), read.scores.end(),
            values_.begin() + static_cast<std::ptrdiff_t>(first_[static_cast<std::size_t>(number)]));
  summary.faults += read.faults;
  Tally::answer(question, number, answer, read);
}

std::vector<LlmScore> ScoreTally::finish() {
  const ScoreJob& job = job_;
  const AnswerKind kind = questions().prompt().answer;

  // choice: what a position gets whoever stands there, as a mean log-probability over all answers.
  std::vector<double> position_logit;
  if (kind == AnswerKind::choice && job.options.debias) {
    std::vector<double> count;
    for (std::size_t q = 0; q < first_.size(); ++q) {
      const std::size_t end = q + 1 < first_.size() ? first_[q + 1] : values_.size();
      for (std::size_t k = first_[q]; k < end; ++k) {
        const std::size_t position = k - first_[q];
        if (position >= count.size()) {
          count.resize(position + 1);
          position_logit.resize(position + 1);
        }
        if (std::isnan(values_[k])) continue;
        position_logit[position] += static_cast<double>(values_[k]);
        ++count[position];
      }
    }
    for (std::size_t k = 0; k < count.size(); ++k) position_logit[k] /= std::max(count[k], 1.0);
  }

  std::vector<LlmScore> scores;
  std::vector<double> position_sum;
  std::size_t question = 0;
  std::vector<double> sum, count, value;
  std::vector<double> mean, squares;  // Welford's: of equal values, squares are exactly 0
  for (std::size_t s = 0; s < job.sets.size(); ++s) {
    const CandidateSet& set = job.sets[s];
    const std::size_t size = set.candidates.size();
    sum.assign(size, 0.0);
    count.assign(size, 0.0);
    mean.assign(size, 0.0);
    squares.assign(size, 0.0);
    const std::size_t prompts = size == 0 ? 0
                                : kind == AnswerKind::yes_no
                                    ? size
                                    : static_cast<std::size_t>(job.options.permutations);
    for (std::size_t p = 0; p < prompts; ++p, ++question) {
      const auto order = kind == AnswerKind::yes_no
                             ? std::vector<std::size_t>{p}
                             : permuted(size, job.options.seed, set.user, static_cast<std::uint32_t>(p));
      value.assign(values_.begin() + static_cast<std::ptrdiff_t>(first_[question]),
                   values_.begin() + static_cast<std::ptrdiff_t>(first_[question] + order.size()));
      for (std::size_t k = 0; k < value.size() && kind != AnswerKind::yes_no; ++k) {
        if (std::isnan(value[k])) continue;
        if (k >= position_sum.size()) {
          position_sum.resize(k + 1);
          summary.position_count.resize(k + 1);
        }
        position_sum[k] += kind == AnswerKind::choice ? std::exp(value[k]) : value[k];
        ++summary.position_count[k];
      }
      if (kind == AnswerKind::choice) {
        // Relative to the likeliest: the scores of a user begin at 1.
        double highest = -std::numeric_limits<double>::infinity();
        for (std::size_t k = 0; k < value.size(); ++k) {
          if (!position_logit.empty()) value[k] -= position_logit[k];
          if (value[k] > highest) highest = value[k];
        }
        for (double& v : value) v = std::exp(v - highest);
      }
      for (std::size_t k = 0; k < order.size(); ++k) {
        if (std::isnan(value[k])) continue;
        sum[order[k]] += value[k];
        ++count[order[k]];
        const double off = value[k] - mean[order[k]];
        mean[order[k]] += off / count[order[k]];
        squares[order[k]] += off * (value[k] - mean[order[k]]);
      }
    }
    for (std::size_t k = 0; k < size; ++k) {
      const bool judged = count[k] > 0;
      summary.defaulted += !judged;
      scores.push_back({set.user, set.candidates[k],
                        judged ? static_cast<float>(sum[k] / count[k]) : kNoJudgement,
                        set.candidates[k] == set.probe,
                        judged ? static_cast<float>(std::min(1.0, 4 * squares[k] / count[k])) : 0.0F});
    }
  }
  for (std::size_t k = 0; k < position_sum.size(); ++k) {
    summary.position_mean.push_back(position_sum[k] / static_cast<double>(summary.position_count[k]));
  }
  summary.pairs = static_cast<std::int64_t>(scores.size());
  return scores;
}

}  // namespace sllmr
