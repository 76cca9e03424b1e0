// What metrics are made of: pure functions of counts, logits and labels.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sllmr {

/// The share of a positive's negatives that score below it, ties half. `negatives` > 0.
double ranking_auc(std::int64_t above, std::int64_t ties, std::int64_t negatives);
/// The chance that a positive with `above` negatives over it and `ties` level with it is among the first `k`,
/// ties broken at random.
double expected_recall(std::int64_t above, std::int64_t ties, int k);
/// The expectation of 1 / log2(rank + 1) for ranks up to `k` (0 beyond), ties broken at random.
double expected_ndcg(std::int64_t above, std::int64_t ties, int k);
/// The expectation of 1 / rank for ranks up to `k` (0 beyond), ties broken at random. Takes the same time
/// whatever the number of ties.
double expected_reciprocal_rank(std::int64_t above, std::int64_t ties, std::int64_t k);

/// Positions 0 .. n - 1 by logit, lowest first. No logit may be NaN.
std::vector<std::int32_t> ascending_order(std::span<const float> logits);
/// ROC-AUC over the rows that `order` lists (their order from ascending_order), ties half: the chance that a
/// positive outscores a negative. Empty unless there is one of each. Labels are 0 or 1.
std::optional<double> roc_auc(std::span<const std::int32_t> order, std::span<const float> logits,
                              std::span<const float> labels);
/// Mean of -log p(label) over the rows that `order` lists, p = sigmoid(logit), in nats; stable for large
/// logits. Empty without a row.
std::optional<double> log_loss(std::span<const std::int32_t> order, std::span<const float> logits,
                               std::span<const float> labels);

}  // namespace sllmr
