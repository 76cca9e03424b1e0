#include "host/ask/answer.h"

#include <algorithm>
#include <cmath>

namespace sllmr {

AnswerFaults& AnswerFaults::operator+=(const AnswerFaults& other) {
  missing += other.missing;
  not_a_number += other.not_a_number;
  out_of_range += other.out_of_range;
  repeated += other.repeated;
  contradicted += other.contradicted;
  unknown += other.unknown;
  converted += other.converted;
  return *this;
}

std::int64_t ReadAnswer::read() const {
  return std::count_if(scores.begin(), scores.end(), [](float score) { return !std::isnan(score); });
}

}  // namespace sllmr
