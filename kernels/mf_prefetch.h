// On the CPU there are no other warps to hide the last-level cache's latency: rows are asked for ahead of
// their turn.
#pragma once

#include "kernels/mf_args.h"

namespace sllmr {

/// Calls ask(address) for every cache line of a row.
template <int Dim, class Ask>
SLLMR_INLINE void for_lines(const float* table, Id id, const Ask& ask) {
  const char* row = reinterpret_cast<const char*>(table + static_cast<std::int64_t>(id) * Dim);
  for (unsigned byte = 0; byte < Dim * sizeof(float); byte += 64) ask(row + byte);
}

/// Asks for a row that will be read.
template <int Dim, class Lanes>
SLLMR_INLINE void prefetch_to_read(Lanes, const float* table, Id id) {
  for_lines<Dim>(table, id, [](const char* line) { Lanes::prefetch(line); });
}

/// The same a while before, see Lanes::prefetch_far.
template <int Dim, class Lanes>
SLLMR_INLINE void prefetch_far(Lanes, const float* table, Id id) {
  for_lines<Dim>(table, id, [](const char* line) { Lanes::prefetch_far(line); });
}

/// Asks for a row that will be updated.
template <int Dim, class Lanes>
SLLMR_INLINE void prefetch_row(Lanes, const TableView& table, Id id) {
  for_lines<Dim>(table.weights, id, [](const char* line) { Lanes::prefetch_to_write(line); });
}

/// Asks for a row that will be updated, and its optimiser's state.
template <int Dim, class Lanes>
SLLMR_INLINE void prefetch_state(Lanes lanes, const TableView& table, Id id) {
  prefetch_row<Dim>(lanes, table, id);
  for (float* moment : {table.first, table.second}) {
    if (moment != nullptr) prefetch_row<Dim>(lanes, {.weights = moment}, id);
  }
  if (table.steps != nullptr) Lanes::prefetch(table.steps + id);
}

/// Asks for the rows of the triples after the launch's triple `k`: of tables that fit no cache (`far`) some
/// time before into the second-level cache, since the first has too few misses under way; then into the
/// first.
template <int Dim, class Lanes>
SLLMR_INLINE void prefetch_triples(Lanes lanes, const MfArgs& args, std::int64_t k, bool far) {
  constexpr std::int64_t kFar = 24;
  const std::int64_t near = far ? 4 : 6;
  if (far && k + kFar < args.rows) {
    const Triple& triple = args.triples[k + kFar];
    prefetch_far<Dim>(lanes, args.users.weights, triple.user);
    prefetch_far<Dim>(lanes, args.items.weights, triple.positive);
    prefetch_far<Dim>(lanes, args.items.weights, triple.negative);
  }
  if (k + near < args.rows) {
    const Triple& triple = args.triples[k + near];
    prefetch_row<Dim>(lanes, args.users, triple.user);
    prefetch_row<Dim>(lanes, args.items, triple.positive);
    prefetch_row<Dim>(lanes, args.items, triple.negative);
  }
}

/// Asks for the rows and the signals of a row's pairs.
template <int Dim, class Lanes>
SLLMR_INLINE void prefetch_pairs(Lanes lanes, const MfArgs& args, const RowPairs& pairs, Id user) {
  Lanes::prefetch(args.gate.users + user);
  for (const LlmPair& pair : {pairs.guide, pairs.probe}) {
    for (const Id item : {pair.a, pair.b}) {
      if (item == 0) continue;
      prefetch_row<Dim>(lanes, args.items, item);
      Lanes::prefetch(args.gate.items + item);
    }
  }
}

}  // namespace sllmr
