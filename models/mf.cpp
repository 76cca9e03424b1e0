#include "models/mf.h"

#include <cmath>
#include <span>

#include "kernels/embedding.h"
#include "kernels/exec/gemm.h"
#include "models/initial.h"

namespace sllmr {

Mf::Mf(const Context& context, Id user_rows, Id item_rows, const MfOptions& options)
    : width_(options.width),
      item_bias_(options.item_bias),
      optimizer_(options.optimizer),
      shard_(options.shard) {
  for_mf_width(width_, [](auto) {});
  require(std::isfinite(options.init_std) && options.init_std >= 0,
          "model.init_std must be a number of at least 0");
  require(user_rows > 1 && item_rows > 1, "a factorisation needs at least one user and one item");
  require(user_rows > shard_.ranks && item_rows > shard_.ranks,
          "there are " + std::to_string(user_rows - 1) + " users and " + std::to_string(item_rows - 1) +
              " items for " + std::to_string(shard_.ranks) + " ranks: start fewer");
  users_ = make_table(context, user_rows, options, Purpose::init_user, 1.0F);
  items_ = make_table(context, item_rows, options, Purpose::init_item, 0.0F);
}

Mf::Table Mf::make_table(const Context& context, Id rows, const MfOptions& options, Purpose purpose,
                         float last) const {
  const Id own = shard_.rows_of(rows);
  const auto row_count = static_cast<std::size_t>(own), width = static_cast<std::size_t>(width_);
  const std::size_t size = size_product(own, width_);
  std::vector<float> initial(size);
  // As a float: its product with a draw is then exact in double, and rounded once.
  const auto deviation = static_cast<double>(static_cast<float>(options.init_std));
  draw_initial_rows(context, Initial::normal(deviation), {options.seed, purpose}, width_, shard_,
                    std::span(initial));
  if (item_bias_) {
    for (std::size_t end = 2 * width; end <= size; end += width) initial[end - 1] = last;
  }
  Table table;
  table.rows = rows;
  table.own_rows = own;
  table.weights = Buffer<float>(context, std::span<const float>(initial));
  const OptimizerInfo& info = info_of(optimizer_);
  if (info.moments > 0) table.first = Buffer<float>(context, size);
  if (info.moments > 1) table.second = Buffer<float>(context, size);
  if (info.counts_steps) table.steps = Buffer<std::int32_t>(context, row_count);
  return table;
}

Matrix<const float> Mf::matrix(const Table& table) const {
  return {table.weights.data(), table.own_rows, width_};
}

TableView Mf::view(Table& table) {
  return {table.weights.data(), table.first.data(), table.second.data(), table.steps.data(), false};
}

std::vector<NamedBuffer> Mf::named_buffers() {
  std::vector<NamedBuffer> named;
  const auto add = [&](const std::string& prefix, Table& table) {
    const auto add_floats = [&](const char* name, Buffer<float>& buffer) {
      if (buffer.size() != 0) named.push_back({prefix + name, {table.rows, width_}, &buffer, shard_});
    };
    add_floats("weights", table.weights);
    add_floats("first", table.first);
    add_floats("second", table.second);
    if (table.steps.size() != 0) named.push_back({prefix + "steps", {table.rows}, &table.steps, shard_});
  };
  add("users.", users_);
  add("items.", items_);
  return named;
}

void Mf::score_tile(const Context& context, const Id* users, std::int64_t n, float* scratch,
                    float* logits) const {
  const Matrix<float> rows(scratch, n, width_);
  require(shard_.is_whole(), "Mf::score_tile: the rows are on several ranks");
  run(context, GatherRows{.table = matrix(users_), .ids = users, .out = rows});
  multiply(context, rows, transposed(matrix(items_)), Matrix<float>(logits, n, items_.rows));
}

void Mf::score_pairs(const Context& context, const Id* users, const Id* items, std::int64_t n,
                     float* logits) const {
  require(shard_.is_whole(), "Mf::score_pairs: the rows are on several ranks");
  run(context, DotRows{.users = matrix(users_),
                       .items = matrix(items_),
                       .user_ids = users,
                       .item_ids = items,
                       .n = n,
                       .out = logits});
}

}  // namespace sllmr
