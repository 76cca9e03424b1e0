// Batches of features: from (user, item, position) to the lists of ids that backbones read.
//
// A batch holds no ids of histories and categories, only where in a pool each row's begin and how many there
// are: the last items before a position of a user's history are neighbours, and so are their brands and
// categories. Assembling is host work that needs no device: a thread can assemble the next batches while one
// is trained on, each in a batcher of its own (host/train/ahead.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/data/feature_source.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/not_copied.h"
#include "models/features.h"

namespace sllmr {

/// A row to be scored: does `user`, who has seen the first `position` items of the history, take `item`?
struct FeatureRow {
  Id user;
  Id item;
  std::int32_t position;
};

/// A pool of labelled training rows, and which of them are alike to a row.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;
  /// Most of a row.
  virtual int each() const = 0;
  /// The pool; examples are known by their place in it.
  virtual std::span<const FeatureRow> pool() const = 0;
  /// The pool's labels, 0 or 1.
  virtual std::span<const std::int8_t> labels() const = 0;
  /// Of each row its examples to found [rows x each()], -1 where there are fewer. Threads may share it.
  /// Throws Interrupted when the process is asked to stop.
  virtual void find(std::span<const FeatureRow> rows, std::span<std::int32_t> found) const = 0;
};

/// The pools of a data set, on the host and on the device (on the CPU they are the same).
class FeatureStore : NotCopied {
 public:
  /// What a batch points into. Entry h of the histories has brand_begin[h + 1] - brand_begin[h] brands (0 or
  /// 1) and category_begin[h + 1] - category_begin[h] categories.
  struct Pools {
    const Id* history = nullptr;
    const Id* history_brands = nullptr;
    const Id* history_categories = nullptr;
    const Id* categories = nullptr;  // of items
  };

  /// `max_history`: how many items of a history a row sees at most, the last ones. Throws Error when that is
  /// below 1. `examples`: what batches of both sides bring along; null: nothing.
  FeatureStore(const Context& context, FeatureSource source, int max_history = 20,
               std::shared_ptr<const ExampleSource> examples = nullptr);

  const FeatureSource& source() const { return source_; }
  int max_history() const { return max_history_; }
  const ExampleSource* examples() const { return examples_.get(); }
  /// What the embedding tables of a backbone need.
  std::array<Id, kVocabularies> table_rows() const {
    return {source_.user_id ? source_.user_rows : 1, source_.item_rows, source_.brand_rows,
            source_.category_rows};
  }
  const Pools& host() const { return host_; }
  const Pools& device() const { return device_; }
  std::span<const std::int64_t> brand_begin() const { return brand_begin_; }
  std::span<const std::int64_t> category_begin() const { return category_begin_; }

 private:
  FeatureSource source_;
  int max_history_;
  std::shared_ptr<const ExampleSource> examples_;
  std::vector<Id> history_brands_, history_categories_;
  std::vector<std::int64_t> brand_begin_, category_begin_;  // [entries of all histories + 1]
  Pools host_, device_;
  std::vector<Buffer<Id>> buffers_;  // device_, on CUDA
};

/// Where ids stand in the plan of the batch at hand: a slot for every row of a data set's tables. Batchers
/// that take turns may share one.
struct PlanSlots {
  /// Place of an id in the plan of batch number `batch`.
  struct Slot {
    std::uint32_t batch = 0;
    std::int32_t at = 0;
  };

  explicit PlanSlots(const FeatureStore& store);

  std::array<std::vector<Slot>, kVocabularies> slots;  // by id
  std::uint32_t batch = 0;
};

struct FeatureBatcherOptions {
  std::int64_t max_rows = 128;
  bool sequence = false;  // the history item by item (Backbone::wants_sequence), not pooled
  bool plans = true;      // for training: with the rows that the batch touches
  /// Whose fields a batch holds. The other side of a FeatureRow must exist, but is not looked at.
  Side side = Side::both;
  bool examples = true;                  // does a batch of both sides have examples, where the store has any?
  const float* made_examples = nullptr;  // ExampleRows::made, on the context's device: they stay away
  /// Vocabularies whose tables' rows are fetched for a batch: see FeatureBatcher::wanted().
  std::array<bool, kVocabularies> staged = {};
  std::shared_ptr<PlanSlots> slots = nullptr;  // for plans; null: its own
};

/// Makes one batch after the other in the same memory.
class FeatureBatcher : NotCopied {
 public:
  /// Keeps a reference to the store. Throws Error for fewer than 1 row.
  FeatureBatcher(const Context& context, const FeatureStore& store, const FeatureBatcherOptions& options);

  /// Puts a batch together on the host, with the examples of its rows where the store has any. Throws Error
  /// for no rows or more than max_rows, for a user or an item that the data do not have, and for a position
  /// outside the user's history. A position of 0 is an empty history. The last 2 * `twins` rows are two
  /// halves with the same users and positions, row by row; Error where they are not, and for twins in a batch
  /// with examples.
  void assemble(std::span<const FeatureRow> rows, std::size_t twins = 0);
  /// Brings what was assembled last to the device: one copy on CUDA, none on the CPU. The batch is valid
  /// until the next assemble() on the CPU, until the next upload() on CUDA.
  const FeatureBatch& upload(const Context& context);
  /// What was assembled last, as the host sees it.
  const FeatureBatch& host() const { return host_; }
  /// Of a staged vocabulary the ids that the batch assembled last looks up, some perhaps more than once.
  std::span<const Id> wanted(Vocabulary vocabulary) const;
  /// numbers[k]: at which row of a staged table wanted()[k] is looked up. Due for every staged vocabulary,
  /// once, before upload().
  void number_rows(Vocabulary vocabulary, std::span<const Id> numbers);
  /// assemble() and upload(), without staged vocabularies.
  const FeatureBatch& make(const Context& context, std::span<const FeatureRow> rows, std::size_t twins = 0) {
    assemble(rows, twins);
    return upload(context);
  }

 private:
  /// Of one row: entries of its history.
  struct Segment {
    std::int64_t begin, end;
  };
  /// Everything that changes from batch to batch, in one block. [bags] is [rows] of a pooled batch.
  struct Block {
    Id *users, *items, *brands;            // [rows]
    std::int64_t* category_begin;          // [rows]
    std::int32_t* category_length;         // [rows]
    std::int64_t* history_begin[3];        // items, brands, categories: [bags]
    std::int32_t* history_length[3];       // [bags]
    std::int64_t* first_position;          // [rows + 1], sequences only
    std::int32_t* row_of_position;         // [positions]
    Id* keys[kVocabularies];               // [occurrences + 1], as many as there could be
    std::int64_t* offsets[kVocabularies];  // [occurrences + 2]
    std::int8_t* field[kVocabularies];     // [occurrences]
    std::int32_t* row[kVocabularies];      // [occurrences]
    std::int32_t* item_number;             // [rows]
    Id* staged[kVocabularies];             // [occurrences]: indexes of keys or, without plans, ids; then rows
    std::int64_t* staged_begin[kFields];   // [bags], of fields with several ids a bag
    Id* numbers;                           // of examples: [examples]
    std::int32_t* of_row;                  // [rows x each]
    std::int64_t* first_use;               // [examples + 1]
    std::int32_t* use;                     // [slots filled]
  };

  /// Rows of a batch and their examples, each once, in rows_; what is where in found_.
  std::span<const FeatureRow> with_examples(std::span<const FeatureRow> rows);
  void fill_examples();
  ExampleRows view_examples(const Block& block) const;
  void check(const FeatureRow& row) const;
  /// Asks for the ids of a row's history, which fill_plan reads; they may lie anywhere.
  void prefetch(const Segment& segment) const;
  /// Segments of the rows, and from them how long the block's arrays are.
  void measure(std::span<const FeatureRow> rows);
  void measure_twins(std::span<const FeatureRow> rows, std::size_t twins);
  /// The arrays of a block that begins at `base`, and its size in bytes.
  std::size_t lay_out(std::byte* base, Block& block) const;
  void fill_rows(std::span<const FeatureRow> rows);
  void fill_history(std::int64_t bag, const Segment& segment);
  void fill_positions();
  void fill_plan(Vocabulary vocabulary);
  bool is_staged(Field field) const {
    return options_.staged[static_cast<std::size_t>(vocabulary_of(field))];
  }
  /// What stands where in staged tables, right after the vocabulary's plan.
  void fill_staged(Vocabulary vocabulary);
  /// Bags of the staged fields; `index` as view() has it.
  void view_staged(const Block& block, const std::int64_t* index, FeatureBatch& batch) const;
  /// function(ids, field, bag) for the bags of all fields of a vocabulary, in the order of occurrences.
  template <class Function>
  void for_each_bag(Vocabulary vocabulary, const Function& function) const {
    for (int f = 0; f < kFields; ++f) {
      const auto field = static_cast<Field>(f);
      if (vocabulary_of(field) != vocabulary) continue;
      const Bags& bags = host_.fields[static_cast<std::size_t>(f)];
      const std::int64_t n_bags = host_.bags(field);
      for (std::int64_t bag = 0; bag < n_bags; ++bag) {
        function(std::span(bags.ids + bags.begin[bag], static_cast<std::size_t>(bags.length[bag])), f, bag);
      }
    }
  }
  /// `index` and `lengths`: index_ and lengths_ on the device of the pools.
  FeatureBatch view(const Block& block, const FeatureStore::Pools& pools, const std::int64_t* index,
                    const std::int32_t* lengths) const;

  const FeatureStore& store_;
  FeatureBatcherOptions options_;
  int each_ = 0;                // examples of a row
  std::int64_t most_rows_ = 0;  // with all their examples

  // Begin and length of the bags of the fields with one id a row; then the lengths of empty bags.
  std::vector<std::int64_t> index_;
  std::vector<std::int32_t> lengths_;
  Buffer<std::int64_t> device_index_;
  Buffer<std::int32_t> device_lengths_;

  std::vector<FeatureRow> rows_;               // of a batch with examples: its rows, then they
  std::vector<std::int32_t> found_;            // [rows x each]: 0 .. examples - 1, or -1
  std::vector<Id> numbers_;                    // [examples]
  std::vector<std::int32_t> slot_of_example_;  // [pool]: its number in the batch, or -1
  std::int64_t own_rows_ = 0, filled_ = 0;
  std::vector<Segment> segments_;
  std::int64_t positions_ = 0, twin_positions_ = 0;
  std::array<std::int64_t, kVocabularies> occurrences_{};  // ids of all bags
  std::array<std::int64_t, kVocabularies> keys_{};         // different ones
  std::array<std::int64_t, kVocabularies> staged_{};       // ids in Block::staged
  std::int64_t different_items_ = 0;                       // of the field of items
  std::vector<std::byte> staging_;
  Block block_{};
  std::size_t block_bytes_ = 0;
  Buffer<std::byte> device_block_;
  FeatureBatch host_, device_;

  std::vector<std::int32_t> slot_of_;     // of each occurrence
  std::vector<std::int64_t> next_place_;  // by key
};

}  // namespace sllmr
