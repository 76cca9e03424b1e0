#include "host/ask/answer_listing.h"

#include <algorithm>

namespace sllmr::answers {

void Listings::begin(std::size_t offset, bool cut_off, bool aside) {
  all.emplace_back();
  all.back().begin = offset;
  all.back().cut_off = cut_off;
  all.back().aside = aside;
}

void Listings::add(const std::vector<Pair>& list, std::size_t offset) {
  const auto named = [&](const Pair& pair) {
    return pair.position != kUnknown && last_[pair.position] == all.size();
  };
  if (std::any_of(list.begin(), list.end(), named)) begin(offset, all.back().cut_off, all.back().aside);
  Listing& listing = all.back();
  for (const Pair& pair : list) {
    if (pair.position == kUnknown) {
      ++listing.faults.unknown;
    } else if (named(pair)) {
      ++listing.faults.repeated;
      // As parsers of JSON do: the last one counts.
      Pair& first = listing.pairs[index_[pair.position]];
      if (!pair.value) continue;
      first.contradicted |= first.value && first.value->value != pair.value->value;
      first.value = pair.value;
    } else {
      last_[pair.position] = all.size();
      index_[pair.position] = listing.pairs.size();
      listing.pairs.push_back(pair);
      ++listing.named;
    }
  }
}

ReadAnswer scores_of(const Listing& listing, std::size_t candidates) {
  ReadAnswer answer{std::vector<float>(candidates, std::numeric_limits<float>::quiet_NaN()), listing.faults};
  constexpr double kLargestScale = 100;
  double largest = 1;
  for (const Pair& pair : listing.pairs) {
    const auto& value = pair.value;
    if (value && !value->scaled && value->value <= kLargestScale) largest = std::max(largest, value->value);
  }
  const double scale = largest <= 1 ? 1 : largest <= 10 ? 10 : kLargestScale;
  answer.faults.missing = static_cast<std::int64_t>(candidates - listing.named);
  for (const auto& [position, value, contradicted] : listing.pairs) {
    answer.faults.contradicted += contradicted;
    if (!value) {
      ++answer.faults.not_a_number;
      continue;
    }
    const double scaled = value->scaled ? value->value : value->value / scale;
    if (scaled >= 0 && scaled <= 1) {
      answer.scores[position] = static_cast<float>(scaled);
      answer.faults.converted += value->converted || (!value->scaled && scale > 1);
    } else {
      ++answer.faults.out_of_range;
    }
  }
  return answer;
}

}  // namespace sllmr::answers
