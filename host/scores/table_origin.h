// Where a score table comes from, kept beside it, and whether the data have moved on since.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "host/scores/score_table.h"

namespace sllmr {

/// Stored as TABLE.json.
struct TableOrigin {
  std::string scorer, model, prompt;
  std::string data;             // name of the data set
  std::uint64_t data_hash = 0;  // content_hash() of it
  std::int64_t created = 0;     // Unix time
  nlohmann::json run;           // what the scoring run says of itself: settings, summary, audit
  std::optional<std::uint64_t> text_hash = {};  // text_hash() of the data; older versions did not keep it
  std::optional<std::uint64_t> table_hash =
      {};  // of its bytes, as write_origin() notes it; nor did they this
};

/// "scores.tsv.json" for "scores.tsv".
std::string origin_path(const std::string& table_path);
/// Writes `origin`, with the hash of the table's bytes where there is a table: write that first.
void write_origin(const std::string& table_path, const TableOrigin& origin);
/// Nothing for a table that has none. Throws Error for a file that cannot be read or is something else.
std::optional<TableOrigin> read_origin(const std::string& table_path);

/// Of the bytes of a file (64-bit FNV-1a). Throws Error where it cannot be read.
std::uint64_t hash_of_file(const std::string& path);

/// Whether the table is the one that `origin` was written for, and no other under its name: the hashes of its
/// bytes are equal, or `origin` is of an older version and has none. Throws Error for a table that cannot be
/// read.
bool is_origin_of(const TableOrigin& origin, const std::string& table_path);

/// How a table and today's data fit together.
struct Freshness {
  bool known = false;             // the table has an origin
  bool same_data = false;         // its data hash is that of the data
  bool same_texts = true;         // its text hash, where it has one, is that of the data
  double age_days = 0;            // NaN without an origin; negative for a table dated in the future
  std::int64_t scored_users = 0;  // with a probe
  std::int64_t stale_users =
      0;  // the probe is not the last training item any more: they have interacted since
};
Freshness freshness(const ScoreTable& table, const std::optional<TableOrigin>& origin, const Split& split,
                    std::int64_t now);
/// Is the user's probe another than the last training item? False for users without a probe.
bool is_stale(const ScoreTable& table, const Split& split, Id user);

/// Down-weighting: keeps each stale user's scores with probability `keep`, drawn by (seed, user), so that
/// they count `keep` times as much on average; 0 drops them, 1 keeps them all. Returns how many users it
/// dropped. Throws Error for a share outside [0, 1].
std::int64_t thin_stale_users(ScoreTable& table, const Split& split, double keep, std::uint64_t seed);

/// What to tell the reader about a table that is not fresh; empty for one that is.
std::string freshness_warning(const Freshness& freshness);

}  // namespace sllmr
