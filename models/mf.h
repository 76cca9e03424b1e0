// Matrix factorisation: s(u,i) = U[u] . V[i], where the last number of a user's row may be 1 and that of an
// item's row is then its bias.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/exec/matrix.h"
#include "kernels/exec/row_shard.h"
#include "kernels/mf_args.h"
#include "models/named_buffer.h"
#include "models/scorer.h"

namespace sllmr {

struct MfOptions {
  int width = 64;          // 32, 64, 128 or 256
  double init_std = 0.01;  // of the normal distribution that parameters start from
  std::uint64_t seed = 1;
  OptimizerKind optimizer = OptimizerKind::sgd;
  bool item_bias = false;  // takes one of the width; starts from 0
  RowShard shard = {};     // the rows that this rank keeps
};

/// Owns both tables and their optimiser state. Row 0 of a table is padding: zero, and no triple names it. Of
/// several ranks each keeps its own rows.
class Mf final : public Scorer {
 public:
  /// `user_rows`, `item_rows`: with padding, of all ranks. Initial values depend on seed and position alone,
  /// not on the machine or on the size of the tables. Throws Error for a width that has no kernel, an
  /// init_std that is negative or not finite, tables without a real row for each rank, and where memory is
  /// short.
  Mf(const Context& context, Id user_rows, Id item_rows, const MfOptions& options);

  int width() const { return width_; }
  OptimizerKind optimizer() const { return optimizer_; }
  Id user_rows() const { return users_.rows; }
  Id item_rows() const override { return items_.rows; }

  /// What the kernels train, this rank's rows; state that the optimiser has no use for is null.
  TableView users() {
    TableView users = view(users_);
    users.last_is_one = item_bias_;
    return users;
  }
  TableView items() { return view(items_); }

  /// Parameters and optimiser state, always in the same order: users.weights, users.first, users.second,
  /// users.steps, items.weights, ...; those that the optimiser lacks are left out. Pointers hold as long as
  /// the model stays where it is.
  std::vector<NamedBuffer> named_buffers();

  std::int64_t scratch_floats(std::int64_t users) const override { return users * width_; }
  void score_tile(const Context& context, const Id* users, std::int64_t n, float* scratch,
                  float* logits) const override;
  std::optional<Factors> factors() const override { return Factors{matrix(users_), matrix(items_), shard_}; }
  RowShard item_shard() const override { return shard_; }
  void score_pairs(const Context& context, const Id* users, const Id* items, std::int64_t n,
                   float* logits) const override;

 private:
  struct Table {
    Id rows = 0, own_rows = 0;             // of all ranks, of this one
    Buffer<float> weights, first, second;  // [own_rows x width]
    Buffer<std::int32_t> steps;            // [own_rows]
  };
  /// `last`: what every row's last number is with an item bias.
  Table make_table(const Context& context, Id rows, const MfOptions& options, Purpose purpose,
                   float last) const;
  Matrix<const float> matrix(const Table& table) const;
  static TableView view(Table& table);

  int width_;
  bool item_bias_;
  OptimizerKind optimizer_;
  RowShard shard_;
  Table users_, items_;
};

}  // namespace sllmr
