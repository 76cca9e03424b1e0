// Embedding tables whose rows several ranks share out, for whoever reads or trains them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "host/config/config.h"
#include "host/data/features.h"
#include "host/data/split.h"
#include "kernels/exec/communicator.h"
#include "kernels/exec/not_copied.h"
#include "kernels/sharded_rows.h"
#include "models/adam/adam.h"
#include "models/backbone.h"

namespace sllmr {

/// Which rows of each vocabulary's tables [rows] a rank keeps: all, unless several ranks share out those of a
/// vocabulary above train.shard_above. Throws Error where these are more than the items.
std::array<RowShard, kVocabularies> table_shards(const Config& config, const Communicator& ranks,
                                                 const std::array<Id, kVocabularies>& rows);

/// The rows that some batches look up, by vocabulary.
using RowRequests = std::array<RowRequest, kVocabularies>;

/// A backbone looks the rows of a batch up in a small table that is staged for it (Embedding::Table::staged):
/// each row that the batch reads once, as its owner has it. So neither layers nor kernels know of ranks.
class SharedTables : NotCopied {
 public:
  /// Keeps references. `adam` is what the rows are behind of.
  SharedTables(const Context& context, Backbone<float>& backbone, Adam<float>& adam)
      : context_(context), backbone_(backbone), adam_(adam) {}

  /// FeatureBatcherOptions::staged for the batches that the backbone reads; all false where no table is
  /// shared.
  std::array<bool, kVocabularies> vocabularies() const;
  bool any() const;
  /// What this rank keeps of a shared table.
  RowShard shard() const { return {context_.ranks().rank(), context_.ranks().size()}; }

  /// What `batches` look up, which have been assembled and now hear the numbers of their rows. This rank's
  /// work alone, which may run beside stage() of batches before.
  void plan(std::span<FeatureBatcher* const> batches, RowRequests& requests) const;
  /// Every rank's call at the same time: the owners bring the rows up to date, and each rank stages its own
  /// request's. They stay until the next.
  void stage(RowRequests& requests);
  /// Both at once, where nothing runs beside it.
  void fetch(std::span<FeatureBatcher* const> batches);
  /// Gives the staged rows' memory back.
  void release();

  /// Where one device would hold the tables: what a step sends for them, and what it would send if they were
  /// whole; else empty. `rows`: those of training, of which a step takes `batch`.
  std::string remark(const FeatureStore& features, std::span<const CtrRow> rows, std::int64_t batch) const;

 private:
  template <class Function>
  void for_each_table(Vocabulary vocabulary, const Function& function) const;

  const Context& context_;
  Backbone<float>& backbone_;
  Adam<float>& adam_;
};

/// What a rank sends in a step for tables of these widths of one vocabulary, in bytes, on average over
/// `ranks` whose parts of the batch look up `rows` of its rows each; docs/clusters.md has the formula.
double shared_step_bytes(int ranks, double rows, std::span<const int> widths);

}  // namespace sllmr
