// Score tables of judges that are known to be bad: noise in a share of the scores.
#pragma once

#include <cstdint>
#include <string_view>

#include "host/scores/score_table.h"
#include "kernels/score_noise.h"

namespace sllmr {

/// Whose scores: everybody's, those of users that are not cold, or those of items that are not of the tail.
enum class NoiseSlice : int { all, warm, head };

struct NoiseSliceInfo {
  NoiseSlice slice;
  std::string_view name;     // as config spells it
  std::string_view summary;  // one line
};
/// In the order of the enumeration.
inline constexpr NoiseSliceInfo kNoiseSlices[] = {
    {NoiseSlice::all, "all", "everywhere"},
    {NoiseSlice::warm, "warm", "of warm users"},
    {NoiseSlice::head, "head", "of head items"},
};

/// What a judge makes of an entry.
enum class NoiseKind : int { uniform, popular, ranked, flipped, flat };

/// What a kind may look at.
struct NoisyEntry {
  float score;                // what it replaces
  bool tail;                  // the item, as Split::tail
  double rank;                // of the item's training popularity within head or tail, in (0, 1), ties half
  double mean, lowest, most;  // of the user's scores, all of them
  float draw;                 // uniform in [0, 1)
};

struct NoiseKindInfo {
  NoiseKind kind;
  std::string_view name;     // as config spells it
  std::string_view summary;  // one line
  double (*score)(const NoisyEntry&);
};
double uniform_noise(const NoisyEntry& entry);
double popular_noise(const NoisyEntry& entry);
double ranked_noise(const NoisyEntry& entry);
double flipped_noise(const NoisyEntry& entry);
double flat_noise(const NoisyEntry& entry);
/// In the order of the enumeration; a new kind is an enumerator, its function and its line.
inline constexpr NoiseKindInfo kNoiseKinds[] = {
    {NoiseKind::uniform, "uniform", "a random number", uniform_noise},
    {NoiseKind::popular, "popular", "a random number, above 1/2 for head items, below for tail items",
     popular_noise},
    {NoiseKind::ranked, "ranked", "the same, but the more popular the higher", ranked_noise},
    {NoiseKind::flipped, "flipped", "the user's scores in reverse order, about their mean", flipped_noise},
    {NoiseKind::flat, "flat", "the user's mean score", flat_noise},
};

struct Noise {
  double share = 0;  // of the scores of the slice, each drawn independently
  NoiseSlice slice = NoiseSlice::all;
  NoiseKind kind = NoiseKind::uniform;

  NoiseShare drawn() const { return {share, slice == NoiseSlice::warm, slice == NoiseSlice::head}; }
};

/// Replaces scores and sorts again. Which ones are drawn depends on seed, user and item alone, whatever the
/// kind. Throws Error for a share outside [0, 1].
void add_noise(ScoreTable& table, const Split& split, const Noise& noise, std::uint64_t seed);

}  // namespace sllmr
