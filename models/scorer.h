// What evaluation asks of a model: logits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/exec/matrix.h"
#include "kernels/exec/row_shard.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

struct Factors {
  Matrix<const float> users, items;  // [rows x width], padding included; of several ranks its own rows
  RowShard shard = {};
};

/// Ids and logits lie on the context's device. Both functions leave the model as it is, and on the CPU
/// several threads may call them at once, each with a Context of its own.
class Scorer {
 public:
  virtual ~Scorer() = default;

  /// Item rows, padding included: the columns of a tile.
  virtual Id item_rows() const = 0;
  /// Floats of scratch memory that score_tile needs for a tile of `users` users.
  virtual std::int64_t scratch_floats(std::int64_t users) const = 0;
  /// logits [n x item_rows()], row-major: users [n] against every item. Column 0 means nothing.
  virtual void score_tile(const Context& context, const Id* users, std::int64_t n, float* scratch,
                          float* logits) const = 0;
  /// Where that is so: the two tables of whose rows the logits are the inner products, on the model's device.
  virtual std::optional<Factors> factors() const { return std::nullopt; }
  /// Which items this rank scores. Where that is not all, as several ranks share out rows of the model,
  /// nothing but factors(), or else score_share(), may be asked.
  virtual RowShard item_shard() const { return {}; }
  /// Every rank's call at the same time, with the same users: logits [users x
  /// item_shard().rows_of(item_rows())] on the context's device. Column 0 means nothing. Throws Interrupted
  /// on all ranks when one is asked to stop.
  virtual Tensor<float> score_share(const Context& /*context*/, std::span<const Id> /*users*/) const {
    throw Error("Scorer::score_share: this rank scores all items");
  }
  /// logits[k] of users[k] and items[k], for k < n.
  virtual void score_pairs(const Context& context, const Id* users, const Id* items, std::int64_t n,
                           float* logits) const = 0;
};

}  // namespace sllmr
