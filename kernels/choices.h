// What a run chooses and kernels act on; the configuration's keys hold these same enumerations.
#pragma once

namespace sllmr {

/// bce: binary cross-entropy of each row with its target. bpr: -log sigmoid(s_positive - s_negative) of rows
/// 2k and 2k + 1. clamped_bce: LLM-CF's cross-entropy of the probability, whose logarithms stop at -100 and
/// whose gradient stops at p (1 - p) = 1e-12: rows that are confidently wrong teach nothing.
enum class BaseLoss : int { bce, bpr, clamped_bce };

/// A guiding pair is any two of the user's scored items, or one of those whose scores differ most.
enum class PairChoice : int { sampled, largest };

/// DCNv2's cross layers: LLM-CF's mixture of low-rank experts, or one matrix of full rank.
enum class CrossKind : int { mixture, full };

}  // namespace sllmr
