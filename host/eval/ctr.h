// The `ctr` protocol: labelled rows, pooled over users.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>

#include "host/data/split.h"
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

/// `logits` [rows]: what the model gives to each row. Throws Error when one is NaN, when there is no row, and
/// when the sizes differ.
CtrResult evaluate_ctr(const Split& split, std::span<const CtrRow> rows, std::span<const float> logits);
/// The same for a model that looks at user and item alone.
CtrResult evaluate_ctr(const Context& context, const Scorer& scorer, const Split& split,
                       std::span<const CtrRow> rows);

/// {"protocol": "ctr", "n": {"all": .., "cold": .., "tail": ..}, "positives": {..}, "auc": {..}, "log_loss":
/// {..}}; null where there is no figure.
nlohmann::json to_json(const CtrResult& result);

}  // namespace sllmr
