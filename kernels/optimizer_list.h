// The optimisers of MF's tables. A new one is an enumerator and its line here, and in kernels/optimizers.h
// its struct and the struct's name in AllOptimizers: config, CLI, checks, memory, kernels, bench and tests
// enumerate the list.
#pragma once

#include <iterator>
#include <string>
#include <string_view>

#include "kernels/exec/error.h"

namespace sllmr {

/// The order is that of kOptimizers.
enum class OptimizerKind : int { sgd, adagrad, lazy_adam, adam };

struct OptimizerInfo {
  OptimizerKind kind;
  std::string_view name;      // as config and CLI spell it
  std::string_view summary;   // one line
  int moments = 0;            // numbers that it keeps of each weight: TableView::first, then ::second
  bool counts_steps = false;  // of each row, in TableView::steps
  /// Steps all rows of a table, not only those that the batch touches; needs train.mode=exact.
  bool every_row = false;
  bool deep = false;  // models/adam has it for the deep backbones
};
inline constexpr OptimizerInfo kOptimizers[] = {
    {.kind = OptimizerKind::sgd, .name = "sgd", .summary = "w - lr g"},
    {.kind = OptimizerKind::adagrad,
     .name = "adagrad",
     .summary = "w - lr g / sqrt(sum of g^2 so far)",
     .moments = 1},
    {.kind = OptimizerKind::lazy_adam,
     .name = "lazy_adam",
     .summary = "Adam on the rows of the batch; each row counts its own steps",
     .moments = 2,
     .counts_steps = true,
     .deep = true},
    {.kind = OptimizerKind::adam,
     .name = "adam",
     .summary = "Adam on every row in every step, as PyTorch's",
     .moments = 2,
     .every_row = true,
     .deep = true},
};

static_assert(
    [] {
      int k = 0;
      for (const OptimizerInfo& info : kOptimizers) {
        if (info.kind != static_cast<OptimizerKind>(k++)) return false;
      }
      return true;
    }(),
    "kOptimizers has another order than OptimizerKind");

constexpr const OptimizerInfo& info_of(OptimizerKind kind) {
  return kOptimizers[static_cast<int>(kind)];
}

/// "a, b or c": the names of those that which(info) picks.
template <class Which>
std::string optimizer_names(const Which& which) {
  std::string text;
  std::string_view last;
  for (const OptimizerInfo& info : kOptimizers) {
    if (!which(info)) continue;
    if (!last.empty()) text += std::string(text.empty() ? "" : ", ") + std::string(last);
    last = info.name;
  }
  return text.empty() ? std::string(last) : text + " or " + std::string(last);
}

/// Throws Error for an optimiser that steps every row.
inline void require_fused(OptimizerKind kind) {
  if (!info_of(kind).every_row) return;
  throw Error("train.optimizer=" + std::string(info_of(kind).name) +
              " updates every row in every step: use train.mode=exact, or train.optimizer=" +
              optimizer_names([](const OptimizerInfo& info) { return !info.every_row; }));
}

}  // namespace sllmr
