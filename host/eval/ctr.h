// The `ctr` protocol: labelled rows, pooled over users.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <vector>

#include "host/data/split.h"
#include "host/eval/ranking.h"
#include "models/scorer.h"

namespace sllmr {

/// Figures over the rows of a slice; no AUC where one class is missing, no log-loss without a row.
struct CtrSlice {
  std::int64_t positives = 0, negatives = 0;
  std::optional<double> auc;       // one ranking of all rows, ties half
  std::optional<double> log_loss;  // nats a row
};

struct CtrResult {
  CtrSlice all;
  CtrSlice cold;  // rows of cold users
  CtrSlice tail;  // rows whose item, observed or sampled, is in the tail
};

/// The protocol's rows of a target: ctr_test_rows() or ctr_validation_rows().
std::vector<CtrRow> ctr_rows(const Split& split, Target target, std::uint64_t seed);

/// `logits` [rows]: what the model gives to each row. Throws Error when one is NaN, when there is no row, and
/// when the sizes differ.
CtrResult evaluate_ctr(const Split& split, std::span<const CtrRow> rows, std::span<const float> logits);
/// Logits of a model that looks at user and item alone.
std::vector<float> score_rows(const Context& context, const Scorer& scorer, std::span<const CtrRow> rows);

/// {"protocol": "ctr", "n": {"all": .., "cold": .., "tail": ..}, "positives": {..}, "auc": {..}, "log_loss":
/// {..}}; null where there is no figure.
nlohmann::json to_json(const CtrResult& result);

}  // namespace sllmr
