#include "host/data/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/exec/loops.h"

namespace sllmr {

namespace {

constexpr Field kHistoryFields[] = {Field::history_items, Field::history_brands, Field::history_categories};

constexpr std::size_t index_of(Field field) {
  return static_cast<std::size_t>(field);
}

/// Hands out stretches of one block of memory.
class Stretches {
 public:
  explicit Stretches(std::byte* base) : base_(base) {}
  template <class T>
  void take(T*& array, std::int64_t size) {
    constexpr std::size_t kBoundary = 64;
    array = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (static_cast<std::size_t>(size) * sizeof(T) + kBoundary - 1) / kBoundary * kBoundary;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

}  // namespace

PlanSlots::PlanSlots(const FeatureStore& store) {
  const auto rows = store.table_rows();
  for (std::size_t v = 0; v < slots.size(); ++v) slots[v].resize(static_cast<std::size_t>(rows[v]));
}

FeatureBatcher::FeatureBatcher(const Context& context, const FeatureStore& store,
                               const FeatureBatcherOptions& options)
    : store_(store), options_(options) {
  require(options.max_rows >= 1,
          fmt::format("a batch of {} rows; it must have at least 1", options.max_rows));
  const ExampleSource* examples = options.side == Side::both && options.examples ? store.examples() : nullptr;
  each_ = examples != nullptr ? examples->each() : 0;
  if (each_ > 0) slot_of_example_.assign(examples->pool().size(), -1);
  most_rows_ = options.max_rows * (options.made_examples == nullptr ? 1 + each_ : 1);
  const auto rows = static_cast<std::size_t>(most_rows_);
  index_.resize(rows);
  std::iota(index_.begin(), index_.end(), std::int64_t{0});
  lengths_.assign(rows, 1);
  lengths_.resize(2 * rows, 0);
  segments_.reserve(rows);
  if (context.device() != Device::cpu) {
    device_index_ = Buffer<std::int64_t>(context, std::span<const std::int64_t>(index_));
    device_lengths_ = Buffer<std::int32_t>(context, std::span<const std::int32_t>(lengths_));
  }
  if (options.plans && options.slots == nullptr) options_.slots = std::make_shared<PlanSlots>(store);
}

void FeatureBatcher::assemble(std::span<const FeatureRow> rows, std::size_t twins) {
  require(!rows.empty() && static_cast<std::int64_t>(rows.size()) <= options_.max_rows,
          fmt::format("a batch of {} rows, but this batcher takes 1 to {}", rows.size(), options_.max_rows));
  own_rows_ = std::ssize(rows);
  if (each_ > 0) {
    require(twins == 0, "a batch with examples has no twins");
    rows = with_examples(rows);
  }
  measure(rows);
  measure_twins(rows, twins);
  block_bytes_ = lay_out(nullptr, block_);
  if (staging_.size() < block_bytes_) staging_.resize(block_bytes_ + block_bytes_ / 2);
  lay_out(staging_.data(), block_);
  fill_rows(rows);
  if (each_ > 0) fill_examples();
  if (options_.sequence) {
    fill_positions();
  } else {
    for (std::size_t row = 0; row < segments_.size(); ++row) {
      fill_history(static_cast<std::int64_t>(row), segments_[row]);
    }
  }
  host_ = view(block_, store_.host(), index_.data(), lengths_.data());
  if (options_.plans) ++options_.slots->batch;
  for (std::size_t v = 0; v < keys_.size(); ++v) {
    const auto vocabulary = static_cast<Vocabulary>(v);
    if (options_.plans) fill_plan(vocabulary);
    if (options_.staged[v]) fill_staged(vocabulary);
    host_.plans[v].n = keys_[v];
  }
  host_.different_items = different_items_;
}

const FeatureBatch& FeatureBatcher::upload(const Context& context) {
  if (context.device() == Device::cpu) return host_;
  if (device_block_.size() < block_bytes_) device_block_ = Buffer<std::byte>(context, staging_.size());
  copy_to_device(context, device_block_.data(), staging_.data(), block_bytes_);
  Block block{};
  lay_out(device_block_.data(), block);
  device_ = view(block, store_.device(), device_index_.data(), device_lengths_.data());
  return device_;
}

void FeatureBatcher::check(const FeatureRow& row) const {
  const FeatureSource& source = store_.source();
  if (row.user < 1 || row.user >= source.user_rows) {
    throw Error(
        fmt::format("{}: a row is of user id {}, but there are users 1 to {}; make the rows from this data",
                    source.name, row.user, source.user_rows - 1));
  }
  if (row.item < 1 || row.item >= source.item_rows) {
    throw Error(
        fmt::format("{}: a row of user '{}' has item id {}, but there are items 1 to {}; make the rows "
                    "from this data",
                    source.name, source.user_token(row.user), row.item, source.item_rows - 1));
  }
  const auto user = static_cast<std::size_t>(row.user);
  const std::int64_t size = source.history_offsets[user + 1] - source.history_offsets[user];
  if (row.position < 0 || row.position > size) {
    throw Error(
        fmt::format("{}: a row of user '{}' sees the first {} items of a history of {}; make the rows from "
                    "this data, with positions of 0 to {}",
                    source.name, source.user_token(row.user), row.position, size, size));
  }
}

void FeatureBatcher::prefetch(const Segment& segment) const {
  const auto ask = [](const Id* ids, std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kLine = 64 / sizeof(Id);
    for (std::int64_t k = begin; k < end; k += kLine) prefetch_line(ids + k);
    if (begin < end) prefetch_line(ids + end - 1);
  };
  const auto first = static_cast<std::size_t>(segment.begin), last = static_cast<std::size_t>(segment.end);
  ask(store_.host().history, segment.begin, segment.end);
  ask(store_.host().history_brands, store_.brand_begin()[first], store_.brand_begin()[last]);
  ask(store_.host().history_categories, store_.category_begin()[first], store_.category_begin()[last]);
}

void FeatureBatcher::measure(std::span<const FeatureRow> rows) {
  const FeatureSource& source = store_.source();
  segments_.clear();
  positions_ = 0;
  std::int64_t brands = 0, categories = 0;
  for (const FeatureRow& row : rows) {
    check(row);
    const std::int64_t end = source.history_offsets[static_cast<std::size_t>(row.user)] + row.position;
    const bool has_history = options_.side != Side::item;
    const std::int64_t begin = end - (has_history ? std::min(row.position, store_.max_history()) : 0);
    const auto first = static_cast<std::size_t>(begin), last = static_cast<std::size_t>(end),
               item = static_cast<std::size_t>(row.item);
    segments_.push_back({begin, end});
    if (options_.plans) prefetch(segments_.back());
    positions_ += end - begin;
    brands += store_.brand_begin()[last] - store_.brand_begin()[first];
    categories += store_.category_begin()[last] - store_.category_begin()[first];
    categories += source.category_offsets[item + 1] - source.category_offsets[item];
  }
  const auto n = static_cast<std::int64_t>(rows.size());
  occurrences_ = {n, n + positions_, n + brands, categories};
}

void FeatureBatcher::measure_twins(std::span<const FeatureRow> rows, std::size_t twins) {
  require(2 * twins <= rows.size(), "a batch has fewer rows than twins");
  twin_positions_ = 0;
  for (std::size_t k = rows.size() - twins; k < rows.size(); ++k) {
    require(rows[k].user == rows[k - twins].user && rows[k].position == rows[k - twins].position,
            "twins in a batch must have the same user and position");
    twin_positions_ += segments_[k].end - segments_[k].begin;
  }
}

std::size_t FeatureBatcher::lay_out(std::byte* base, Block& block) const {
  Stretches stretches(base);
  const auto rows = static_cast<std::int64_t>(segments_.size());
  const std::int64_t bags = options_.sequence ? positions_ : rows;
  stretches.take(block.users, rows);
  stretches.take(block.items, rows);
  stretches.take(block.brands, rows);
  stretches.take(block.category_begin, rows);
  stretches.take(block.category_length, rows);
  for (auto*& begin : block.history_begin) stretches.take(begin, bags);
  for (auto*& length : block.history_length) stretches.take(length, bags);
  if (options_.sequence) {
    stretches.take(block.first_position, rows + 1);
    stretches.take(block.row_of_position, positions_);
  }
  if (each_ > 0) {
    const std::int64_t examples = std::ssize(numbers_);
    stretches.take(block.numbers, examples);
    stretches.take(block.of_row, own_rows_ * each_);
    stretches.take(block.first_use, examples + 1);
    stretches.take(block.use, filled_);
  }
  if (options_.plans) {
    for (std::size_t v = 0; v < occurrences_.size(); ++v) {
      stretches.take(block.keys[v], occurrences_[v] + 1);
      stretches.take(block.offsets[v], occurrences_[v] + 2);
      stretches.take(block.field[v], occurrences_[v]);
      stretches.take(block.row[v], occurrences_[v]);
    }
    stretches.take(block.item_number, rows);
  }
  for (std::size_t v = 0; v < occurrences_.size(); ++v) {
    if (options_.staged[v]) stretches.take(block.staged[v], occurrences_[v]);
  }
  for (const Field field : {Field::categories, kHistoryFields[0], kHistoryFields[1], kHistoryFields[2]}) {
    if (is_staged(field))
      stretches.take(block.staged_begin[index_of(field)], field == Field::categories ? rows : bags);
  }
  return stretches.used();
}

void FeatureBatcher::fill_rows(std::span<const FeatureRow> rows) {
  const FeatureSource& source = store_.source();
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const auto item = static_cast<std::size_t>(rows[k].item);
    block_.users[k] = rows[k].user;
    block_.items[k] = rows[k].item;
    block_.brands[k] = source.brands[item];
    block_.category_begin[k] = source.category_offsets[item];
    block_.category_length[k] =
        static_cast<std::int32_t>(source.category_offsets[item + 1] - source.category_offsets[item]);
  }
}

void FeatureBatcher::fill_history(std::int64_t bag, const Segment& segment) {
  const auto first = static_cast<std::size_t>(segment.begin), last = static_cast<std::size_t>(segment.end);
  const std::int64_t begin[] = {segment.begin, store_.brand_begin()[first], store_.category_begin()[first]};
  const std::int64_t end[] = {segment.end, store_.brand_begin()[last], store_.category_begin()[last]};
  for (int k = 0; k < 3; ++k) {
    block_.history_begin[k][bag] = begin[k];
    block_.history_length[k][bag] = static_cast<std::int32_t>(end[k] - begin[k]);
  }
}

void FeatureBatcher::fill_positions() {
  std::int64_t bag = 0;
  for (std::size_t row = 0; row < segments_.size(); ++row) {
    block_.first_position[row] = bag;
    for (std::int64_t entry = segments_[row].begin; entry < segments_[row].end; ++entry, ++bag) {
      fill_history(bag, {entry, entry + 1});
      block_.row_of_position[bag] = static_cast<std::int32_t>(row);
    }
  }
  block_.first_position[segments_.size()] = bag;
}

void FeatureBatcher::fill_plan(Vocabulary vocabulary) {
  const auto v = static_cast<std::size_t>(vocabulary);
  Id* const keys = block_.keys[v];
  std::int64_t* const offsets = block_.offsets[v];
  PlanSlots::Slot* const slots = options_.slots->slots[v].data();
  const std::uint32_t batch = options_.slots->batch;
  // Number the ids as they come and count them; offsets[at + 1] is the count of keys[at] for now. Whether an
  // id is new cannot be predicted, so there is no branch: an id that is not new leaves its mark where the
  // next new one will stand.
  if (slot_of_.size() < static_cast<std::size_t>(occurrences_[v])) {
    slot_of_.resize(static_cast<std::size_t>(occurrences_[v]));
  }
  std::int32_t n = 0;
  std::int32_t* slot_of = slot_of_.data();
  offsets[0] = 0;
  for_each_bag(vocabulary, [&](std::span<const Id> ids, int, std::int64_t) {
    for (const Id id : ids) {
      PlanSlots::Slot& slot = slots[id];
      const bool is_new = slot.batch != batch;
      const std::int32_t at = is_new ? n : slot.at;
      slot = {batch, at};
      keys[n] = id;
      offsets[n + 1] = 0;
      n += is_new ? 1 : 0;
      offsets[at + 1] += id != 0 ? 1 : 0;
      *slot_of++ = at;
    }
  });
  keys_[v] = n;
  // Ids were numbered by field, and the field of items, with one id a row, is their table's first.
  if (vocabulary == Vocabulary::item && options_.side != Side::user) {
    const auto rows = segments_.size();
    std::copy_n(slot_of_.data(), rows, block_.item_number);
    different_items_ = 1 + *std::max_element(block_.item_number, block_.item_number + rows);
  }
  std::partial_sum(offsets, offsets + n + 1, offsets);

  next_place_.assign(offsets, offsets + n);
  std::int64_t* const next_place = next_place_.data();
  std::int8_t* const fields = block_.field[v];
  std::int32_t* const rows = block_.row[v];
  slot_of = slot_of_.data();
  for_each_bag(vocabulary, [&](std::span<const Id> ids, int field, std::int64_t bag) {
    for (const Id id : ids) {
      const std::int32_t at = *slot_of++;
      if (id == 0) continue;
      const std::int64_t place = next_place[at]++;
      fields[place] = static_cast<std::int8_t>(field);
      rows[place] = static_cast<std::int32_t>(bag);
    }
  });
}

FeatureBatch FeatureBatcher::view(const Block& block, const FeatureStore::Pools& pools,
                                  const std::int64_t* index, const std::int32_t* lengths) const {
  FeatureBatch batch;
  batch.rows = own_rows_;
  batch.sequence = options_.sequence;
  if (each_ > 0) batch.examples = view_examples(block);
  if (batch.sequence) {
    batch.positions = positions_;
    batch.twin_positions = twin_positions_;
    batch.first_position = block.first_position;
    batch.row_of_position = block.row_of_position;
  }
  const std::int32_t* none = lengths + most_rows_;
  const std::int32_t* of_user = options_.side == Side::item || !store_.source().user_id ? none : lengths;
  const std::int32_t* of_item = options_.side == Side::user ? none : lengths;
  batch.fields[index_of(Field::user)] = {block.users, index, of_user};
  batch.fields[index_of(Field::item)] = {block.items, index, of_item};
  batch.fields[index_of(Field::brand)] = {block.brands, index, of_item};
  batch.fields[index_of(Field::categories)] = {pools.categories, block.category_begin,
                                               options_.side == Side::user ? none : block.category_length};
  const Id* history[] = {pools.history, pools.history_brands, pools.history_categories};
  for (std::size_t k = 0; k < 3; ++k) {
    batch.fields[index_of(kHistoryFields[k])] = {history[k], block.history_begin[k], block.history_length[k]};
  }
  view_staged(block, index, batch);
  if (!options_.plans) return batch;
  batch.different_items = different_items_;
  batch.item_number = block.item_number;
  for (std::size_t v = 0; v < batch.plans.size(); ++v) {
    batch.plans[v] = {keys_[v], block.keys[v], block.offsets[v], block.field[v], block.row[v]};
  }
  return batch;
}

}  // namespace sllmr
