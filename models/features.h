// What a backbone sees of a batch: seven fields of ids, on the device, and which table rows they touch.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/exec/types.h"

namespace sllmr {

/// The input fields in the order in which backbones concatenate them.
enum class Field : int { user, item, brand, categories, history_items, history_brands, history_categories };
inline constexpr int kFields = 7;

/// The embedding tables; history fields share the tables of the item's fields.
enum class Vocabulary : int { user, item, brand, category };
inline constexpr int kVocabularies = 4;

constexpr Vocabulary vocabulary_of(Field field) {
  constexpr Vocabulary of[kFields] = {Vocabulary::user,     Vocabulary::item, Vocabulary::brand,
                                      Vocabulary::category, Vocabulary::item, Vocabulary::brand,
                                      Vocabulary::category};
  return of[static_cast<int>(field)];
}

/// Is the field's form (one bag a row, or one bag a history position) that of FeatureBatch::sequence?
constexpr bool is_history(Field field) {
  return field >= Field::history_items;
}

/// What a row of a batch is about. `user` and `item` leave the bags of the other side's fields empty: the
/// item's fields are its id, brand and categories, all else is the user's.
enum class Side { both, user, item };
constexpr bool is_of_item(Field field) {
  return field == Field::item || field == Field::brand || field == Field::categories;
}

/// Lists of ids, one a row: row k's are ids[begin[k]] .. ids[begin[k] + length[k] - 1]. Padding (id 0) is
/// left out of every list but the brand's, where 0 ("no brand") is an id like any other that never gets a
/// gradient of the data.
struct Bags {
  const Id* ids = nullptr;
  const std::int64_t* begin = nullptr;
  const std::int32_t* length = nullptr;
};

/// The rows of one table that a batch touches, each once, and where each one's gradient comes from:
/// occurrence k of `keys[r]`, offsets[r] <= k < offsets[r + 1], is one id of bag `row[k]` of field
/// `field[k]`. Occurrences stand in a fixed order (by field, then by row), so that sums are repeatable. Id 0
/// has none.
struct TablePlan {
  std::int64_t n = 0;                     // rows touched
  const Id* keys = nullptr;               // [n]
  const std::int64_t* offsets = nullptr;  // [n + 1]
  const std::int8_t* field = nullptr;     // [offsets[n]]
  const std::int32_t* row = nullptr;      // [offsets[n]]
};

/// Labelled rows of a pool that a batch brings along as examples for its own (LLM-CF). In every field's bags,
/// and in a sequence batch's positions, they follow the rows; they are not scored. Or they stay away, with
/// what was made of the whole pool beforehand in their place: then `of_row` has numbers of the pool, and what
/// is said of a batch's examples is empty.
struct ExampleRows {
  std::int64_t n = 0;                       // examples of the batch, each once
  int each = 0;                             // most of a row, its slots; 0 in a batch without examples
  std::int64_t filled = 0;                  // slots with one
  std::int64_t positions = 0;               // history items of theirs in a sequence batch
  const Id* number = nullptr;               // [n]: which rows of the pool, from 0; null: of_row says it
  const std::int32_t* of_row = nullptr;     // [rows x each]: 0 .. n - 1; -1 for an empty slot
  const std::int64_t* first_use = nullptr;  // [n + 1]
  const std::int32_t* use = nullptr;  // [filled]: where in of_row each example stands, example by example
  const float* made = nullptr;        // of every row of the pool, what Backbone::of_examples gives
};

/// A batch on the device. The history is pooled (one bag a row) or, with `sequence`, one bag for each of the
/// batch's `positions` history items, rows one after another.
struct FeatureBatch {
  std::int64_t rows = 0;
  bool sequence = false;
  std::int64_t positions = 0;                     // history items of all rows
  const std::int64_t* first_position = nullptr;   // [rows + 1]
  const std::int32_t* row_of_position = nullptr;  // [positions]
  /// The last positions are those of rows whose twins, with the same user and history, stand right before
  /// them: as many positions before hold the same items. What depends on the history alone need not be
  /// computed twice.
  std::int64_t twin_positions = 0;
  std::array<Bags, kFields> fields;
  /// The bags of fields whose tables have their rows of this batch staged (Embedding::Table): numbers of
  /// those rows in place of ids. Without ids for other fields.
  std::array<Bags, kFields> staged;
  std::array<TablePlan, kVocabularies> plans;  // empty unless the batch was made for training
  /// The first `different_items` keys of the items' plan are the items of all rows; item_number says whose
  /// each is: [all_rows()]. Where there is no plan there are none.
  std::int64_t different_items = 0;
  const std::int32_t* item_number = nullptr;
  ExampleRows examples;

  /// Rows of the fields' bags: the batch's, then its examples.
  std::int64_t all_rows() const { return rows + examples.n; }
  /// Positions of the rows alone, which come first.
  std::int64_t own_positions() const { return positions - examples.positions; }
  std::int64_t bags(Field field) const { return sequence && is_history(field) ? positions : all_rows(); }
};

}  // namespace sllmr
