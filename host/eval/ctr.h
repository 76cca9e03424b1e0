// The `ctr` protocol: labelled rows, pooled over users.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "host/data/split.h"
#include "host/eval/metric.h"
#include "host/eval/ranking.h"
#include "models/scorer.h"

namespace sllmr {

struct CtrResult {
  std::array<std::int64_t, kEverySlice.size()> positives{};  // by Slice
  Figures figures;  // a row is in the tail where its item is, observed or sampled
};

/// The protocol's rows of a target: ctr_test_rows() or ctr_validation_rows().
std::vector<CtrRow> ctr_rows(const Split& split, Target target, std::uint64_t seed);

/// `logits` [rows]: what the model gives to each row. Throws Error when one is NaN, when there is no row, and
/// when the sizes differ.
CtrResult evaluate_ctr(const Split& split, std::span<const CtrRow> rows, std::span<const float> logits);
/// Logits of a model that looks at user and item alone.
std::vector<float> score_rows(const Context& context, const Scorer& scorer, std::span<const CtrRow> rows);

/// {"protocol": "ctr", "positives": {"all": .., "cold": .., "tail": ..}, "n": {..}, "auc": {..}, "log_loss":
/// {..}, ...}; see add_figures().
nlohmann::json to_json(const CtrResult& result);

}  // namespace sllmr
