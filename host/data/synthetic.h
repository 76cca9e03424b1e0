// A made-up cold-start world, for a demo where there are no data and for tests.
#pragma once

#include <cstdint>

#include "host/data/dataset.h"

namespace sllmr {

struct SyntheticOptions {
  int users = 4000;
  int items = 3000;
  int topics = 40;
  double mean_history = 8;  // interactions a user beyond the first 5, on average: half of the users stay cold
  double off_topic = 0.2;   // share of interactions outside the user's topics
  std::uint64_t seed = 1;
};

/// Users follow one or two topics, items belong to one, popularity is Zipf's. An item's title holds words of
/// its topic, so a judge that reads texts knows more than sparse interactions tell.
Dataset synthetic_dataset(const SyntheticOptions& options);

}  // namespace sllmr
