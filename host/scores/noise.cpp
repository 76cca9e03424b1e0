#include "host/scores/noise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/exec/error.h"

namespace sllmr {

double uniform_noise(const NoisyEntry& entry) {
  return static_cast<double>(entry.draw);
}

double popular_noise(const NoisyEntry& entry) {
  return (entry.tail ? 0.0 : 0.5) + 0.5 * static_cast<double>(entry.draw);
}

double ranked_noise(const NoisyEntry& entry) {
  constexpr double kLuck = 0.2;  // share of the draw: neighbours in popularity change places
  const double liked = (1 - kLuck) * entry.rank + kLuck * static_cast<double>(entry.draw);
  return (entry.tail ? 0.0 : 0.5) + 0.5 * liked;
}

/// mean - c (score - mean) with the largest c <= 1 that keeps all of the user's scores in [0, 1]: cutting
/// them off there would make ties.
double flipped_noise(const NoisyEntry& entry) {
  const auto most_of = [](double room, double deviation) {
    return deviation > room ? room / deviation : 1.0;
  };
  const double c = std::min(most_of(entry.mean, entry.most - entry.mean),
                            most_of(1 - entry.mean, entry.mean - entry.lowest));
  return entry.mean - c * (static_cast<double>(entry.score) - entry.mean);
}

double flat_noise(const NoisyEntry& entry) {
  return entry.mean;
}

namespace {

/// By item: the share of the head or of the tail, whichever the item is of, that is less popular in training,
/// equally popular items half.
std::vector<double> popularity_ranks(const Split& split) {
  std::map<std::int32_t, double> of[2];  // items by popularity, then their rank
  double n[2] = {0, 0};
  for (std::size_t item = 1; item < split.popularity.size(); ++item) {
    const bool tail = split.tail[item] != 0;
    ++of[tail][split.popularity[item]];
    ++n[tail];
  }
  for (const bool tail : {false, true}) {
    double below = 0;
    for (auto& [popularity, count] : of[tail]) {
      const double here = count;
      count = (below + here / 2) / n[tail];
      below += here;
    }
  }
  std::vector<double> ranks(split.popularity.size(), 0.0);
  for (std::size_t item = 1; item < ranks.size(); ++item) {
    ranks[item] = of[split.tail[item] != 0][split.popularity[item]];
  }
  return ranks;
}

}  // namespace

void add_noise(ScoreTable& table, const Split& split, const Noise& noise, std::uint64_t seed) {
  if (!(noise.share >= 0.0 && noise.share <= 1.0)) {
    throw Error(fmt::format("the noise share {} is not in [0, 1]; give a share of the scores", noise.share));
  }
  const NoiseKindInfo& kind = kNoiseKinds[static_cast<int>(noise.kind)];
  const std::vector<double> ranks = popularity_ranks(split);
  const NoiseShare drawn = noise.drawn();
  std::vector<LlmScore> entries = entries_of(table);
  for (LlmScore& entry : entries) {
    const auto user = static_cast<std::size_t>(entry.user), item = static_cast<std::size_t>(entry.item);
    const Draw draw = noise_draw(seed, entry.user, entry.item);
    if (!drawn.replaces(draw.word[0], split.cold[user] != 0, split.tail[item] != 0)) continue;
    const std::span<const float> scores = table.scores_of(entry.user);  // sorted, highest first
    const double mean =
        std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
    const double score =
        kind.score({entry.score, split.tail[item] != 0, ranks[item], mean, static_cast<double>(scores.back()),
                    static_cast<double>(scores.front()), uniform(draw.word[1])});
    entry.score = std::clamp(static_cast<float>(score), 0.0F, 1.0F);
  }
  table = make_score_table(*split.data, entries, std::move(table.scorer));
}

}  // namespace sllmr
