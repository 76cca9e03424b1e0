#include "host/guidance/pair_draws.h"

#include <span>

#include "host/scores/pair_index.h"

namespace sllmr {

PairDraws::PairDraws(Context& context, const Config& config, const Split& split, const ScoreTable& table,
                     ProbeDraws probes, std::int64_t batch, std::int64_t chunk)
    : context_(context),
      seed_(config.seed),
      most_of_batch_(config.llm.max_pairs_per_batch),
      offsets_(context, std::span<const std::int64_t>(table.offsets)),
      probe_(context, std::span<const std::int32_t>(table.probe)),
      largest_(context, batch) {
  std::vector<ScoredItem> scored(table.items.size());
  for (std::size_t k = 0; k < scored.size(); ++k) scored[k] = {table.items[k], table.scores[k]};
  entries_ = Buffer<ScoredItem>(context, std::span<const ScoredItem>(scored));
  view_.offsets = offsets_.data();
  view_.entries = entries_.data();
  view_.probe = probe_.data();
  policy_.choice = config.llm.pairs;
  policy_.pair_rate = Share::of(config.llm.pair_rate);
  if (probes != ProbeDraws::none) policy_.probe_rate = Share::of(config.gate.probe_rate);
  if (probes == ProbeDraws::matched) {
    const MatchIndex index = probe_matches(table, split.popularity, split.tail);
    match_offsets_ = Buffer<std::int64_t>(context, std::span<const std::int64_t>(index.offsets));
    matches_ = Buffer<std::uint16_t>(context, std::span<const std::uint16_t>(index.entries));
    view_.match_offsets = match_offsets_.data();
    view_.matches = matches_.data();
  }
  if (policy_.choice == PairChoice::largest) {
    const PairIndex index = largest_pairs(table, config.llm.largest_pairs);
    pair_offsets_ = Buffer<std::int64_t>(context, std::span<const std::int64_t>(index.offsets));
    pair_first_ = Buffer<std::uint16_t>(context, std::span<const std::uint16_t>(index.first));
    pair_second_ = Buffer<std::uint16_t>(context, std::span<const std::uint16_t>(index.second));
    view_.pair_offsets = pair_offsets_.data();
    view_.pair_first = pair_first_.data();
    view_.pair_second = pair_second_.data();
  }
  pairs_ = Buffer<RowPairs>(context, rate().count_before(static_cast<std::uint64_t>(chunk)) + 1);
}

void PairDraws::sample(std::uint32_t epoch, std::int64_t first, std::int64_t count, const Triple* triples) {
  run(context_, SamplePairs{.scores = view_,
                            .policy = policy_,
                            .seed = seed_,
                            .epoch = epoch,
                            .first_row = first,
                            .count = count,
                            .triples = triples,
                            .out = pairs_.data()});
}

void PairDraws::limit(RowPairs* pairs, std::int64_t count) {
  if (most_of_batch_ > 0) largest_.keep(context_, pairs, count, most_of_batch_);
}

}  // namespace sllmr
