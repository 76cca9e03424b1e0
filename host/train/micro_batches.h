// One step of the optimiser from the micro-batches of a batch, wherever they were computed.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "kernels/exec/not_copied.h"
#include "models/adam/adam.h"
#include "models/backbone.h"

namespace sllmr {

/// The rows of a batch that a micro-batch has, [begin, end).
struct MicroBatchRows {
  std::int64_t begin, end;
};
/// Into how many a batch of `rows` is cut: the largest power of two up to `most` that leaves each two rows or
/// more.
int micro_batches_of(std::int64_t rows, int most);
/// Number `part` of `parts`: as equal as even numbers of rows are.
MicroBatchRows rows_of_micro_batch(std::int64_t rows, int parts, int part);
/// The most rows of any micro-batch of batches of up to `rows`, cut into up to `most`.
std::int64_t most_micro_batch_rows(std::int64_t rows, int most);

/// Adds up what the micro-batches give, in one order for any number of ranks (kernels/tree_sums.h): 1, 2, 4,
/// ... ranks that each compute their share of them take the same step, bit by bit. Running statistics become
/// the mean of what the micro-batches make of them. Of a table whose rows ranks share out the owner of a row
/// alone hears and sums its gradients.
///
///   sums.start();  of each own one: adam.begin, forward, backward, sums.add(...);  sums.step(...);
class MicroBatchSums : NotCopied {
 public:
  /// `micro_batches` of a batch. Keeps references. Throws Error where context.ranks() cannot share them
  /// equally.
  MicroBatchSums(const Context& context, Backbone<float>& backbone, Adam<float>& adam, int micro_batches);

  bool is_own(int part) const { return part / own_ == rank_; }

  void start();
  /// Takes the gradients of an own micro-batch over from the backbone. `host`: the same as the host sees it.
  void add(int number, const FeatureBatch& batch, const FeatureBatch& host);
  /// With all ranks: takes the step, of a batch that was cut into `used`.
  void step(int used);

 private:
  /// Gradients of a table's rows, from several parts; row k is of key keys[k] and part[k].
  struct Rows {
    std::vector<Id> keys;
    std::vector<std::int32_t> part;
    Buffer<float> gradients;  // [at least keys x width]
    int width = 0;
    RowShard shard = {};  // of the table

    void clear() {
      keys.clear();
      part.clear();
    }
    /// Room for the gradients of `more` rows, which whoever calls fills in.
    float* add(const Context& context, std::span<const Id> more, int of_part);
  };
  /// Each key once, with the sum over the parts.
  struct Summed {
    std::vector<Id> keys;
    Tensor<float> gradients;  // [keys x width]
    Tensor<Id> device_keys;   // [1 x keys]
  };
  Summed sum(const Rows& rows, int parts) const;
  /// `mine` of each table, with those of the other ranks; of a shared table its own rows' alone, by place.
  std::vector<Summed> sum_over_ranks(std::vector<Summed> mine);
  /// The same of whole tables; there are none of the others.
  std::vector<Summed> sum_for_all(const std::vector<Summed>& mine);
  /// The same of shared table number `t`.
  Summed sum_by_owners(std::size_t t, const Summed& mine);
  void step_dense(int used);

  /// to [n x kChunk] = the sum of the first `present` of `parts` that lie one after the other in `from`.
  void sum_stacked(const float* from, std::int64_t n, int parts, int present, float* to);

  const Context& context_;
  Backbone<float>& backbone_;
  Adam<float>& adam_;
  int own_, rank_;       // own_: micro-batches of a rank
  std::int64_t chunks_;  // of kChunk numbers, that the dense gradients and the state fill
  Buffer<float> dense_;  // [own_ x chunks_ x kChunk]
  Buffer<float> sums_;   // [chunks_ x kChunk]
  Buffer<float> state_;  // as the batch found it
  std::vector<Rows> tables_, from_ranks_;
  std::map<std::tuple<std::int64_t, int, int>, Buffer<std::int32_t>> stacked_;  // by n, parts, present
};

}  // namespace sllmr
