// The exact step (mf_batch.h) on tables that several ranks share out by rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/exec/matrix.h"
#include "kernels/exec/row_shard.h"
#include "kernels/mf_batch.h"
#include "kernels/sharded_rows.h"

namespace sllmr {

/// Every rank takes the training rows of its own users. The item rows that they touch come from their owners;
/// back go, for each training row, the factors of the owner's items and the user's row. The owner adds up an
/// item's gradient from these in the order of the batch, as one rank does, and takes the optimiser's step:
/// any number of ranks comes to the same tables, bit by bit.
class ShardedMfBatch {
 public:
  /// Tables of [user_rows x width] and [item_rows x width] on all ranks together, batches of at most
  /// `max_rows` rows; `gate_params` of the gate's rule. Throws Error for a width that has no kernel.
  ShardedMfBatch(const Context& context, int width, const RowShard& shard, Id user_rows, Id item_rows,
                 std::int64_t max_rows, int gate_params, OptimizerKind optimizer);

  /// MfBatch::step(), by all ranks at once: args.users and args.items are the rank's own rows, `triples`
  /// [args.rows] and the batch's `pairs` the same on every rank, on the host. Those of `args` are not looked
  /// at. Afterwards the first rank has the sums of all rows in its slots; those of the others are zero.
  void step(const Context& context, std::int32_t step, const MfArgs& args, std::span<const Triple> triples,
            std::span<const RowPairs> pairs);

 private:
  /// What the owner of items gets of a training row, beside the user's row: its number in the batch, and the
  /// gradients of the owner's items, at their places there; 0 in the other slots.
  struct Record {
    std::int32_t row;
    ItemGradients gradients;
  };

  void take_own_rows(const MfArgs& args, std::span<const Triple> triples, std::span<const RowPairs> pairs);
  /// From the gradients of own training rows. Returns the users' rows that came with others' records.
  Tensor<float> send_records(const Context& context, const Matrix<const float>& users);
  /// Puts the records into the order of the batch.
  void take_records(const Context& context, std::int64_t batch_rows);
  void send_sums(const Context& context, const MfArgs& args, std::span<const Triple> triples);

  int width_;
  RowShard shard_;
  int gate_params_;
  OptimizerKind optimizer_;
  MfBatchRows rows_;  // of this rank

  // Own rows of the batch.
  std::vector<std::int32_t> numbers_;  // in the batch
  std::vector<Triple> triples_, triple_places_;
  std::vector<RowPairs> pairs_, pair_places_;
  std::vector<std::int32_t> pair_of_;
  std::vector<Id*> wanted_;
  RowRequest request_;
  std::vector<ItemGradients> gradients_;
  Buffer<Triple> device_triples_, device_places_;       // [max_rows]
  Buffer<RowPairs> device_pairs_, device_pair_places_;  // [max_rows]
  Buffer<std::int32_t> device_pair_of_;                 // [max_rows]
  Buffer<ItemGradients> device_gradients_;              // [max_rows]

  // What training rows do to items, by the items' owners: the places of the records' users, and what came.
  std::vector<std::vector<Record>> records_;
  std::vector<std::vector<Id>> record_users_;
  FromRanks<Record> received_;
  std::vector<std::int32_t> record_of_;  // [rows of the batch], -1: none
  std::vector<Triple> record_triples_;
  std::vector<ItemGradients> record_gradients_;
  std::vector<Id> record_keys_;
  int slots_ = ItemGradients::base;  // of this batch

  std::vector<float> sums_;  // [max_rows x GateColumns::stride], where the device's are elsewhere
  FromRanks<float> packed_;
};

/// What a rank sends in a step of ShardedMfBatch, in bytes, on average over `ranks`, where no item comes
/// twice in its rows; docs/scale.md has the formula. `pair_rate` of the rows draw a pair.
double sharded_step_bytes(int ranks, std::int64_t batch_rows, int width, double pair_rate, int gate_params);

}  // namespace sllmr
