#include "models/adam/adam.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace sllmr {

namespace {

/// factors[t] of step t, as many as differ: from then on 1 - beta^t rounds to 1.
template <class Real>
std::vector<AdamFactors<Real>> adam_factors(double rate) {
  const AdamFactors<Real> limit{static_cast<Real>(rate), Real(1)};
  std::vector<AdamFactors<Real>> factors{limit};  // there is no step 0
  for (int t = 1;; ++t) {
    const double rest1 = 1 - std::pow(AdamConstants::beta1, t), rest2 = 1 - std::pow(AdamConstants::beta2, t);
    factors.push_back({static_cast<Real>(rate / rest1), static_cast<Real>(1 / std::sqrt(rest2))});
    const AdamFactors<Real>& last = factors.back();
    if (last.step_size == limit.step_size && last.second_scale == limit.second_scale) return factors;
  }
}

/// Row `part` / parts of `rows`.
Id part_begin(Id rows, std::int32_t part, std::int32_t parts) {
  return static_cast<Id>(static_cast<std::int64_t>(rows) * part / parts);
}

}  // namespace

template <class Real>
Adam<Real>::Adam(const Context& context, Parameters<Real>& parameters,
                 std::vector<Embedding<Real>*> embeddings, const AdamOptions& options)
    : parameters_(parameters), embeddings_(std::move(embeddings)), options_(options) {
  for (const double l2 : {options.l2, options.embedding_l2.value_or(0)})
    require(std::isfinite(l2) && l2 >= 0, "the L2 of Adam must be a number of at least 0");
  make_factors(context);
  const auto size = static_cast<std::size_t>(parameters.size());
  first_ = Buffer<Real>(context, size);
  second_ = Buffer<Real>(context, size);
  require(embeddings_.size() <= static_cast<std::size_t>(AdamArgs<Real>::kMaxGradients),
          "Adam: a backbone has at most " + std::to_string(AdamArgs<Real>::kMaxGradients) +
              " sets of tables; raise AdamArgs::kMaxGradients");
  for (Embedding<Real>* embedding : embeddings_) {
    for (const auto& table : embedding->tables()) {
      const std::size_t cells = table.weights.size();
      tables_.push_back({Buffer<Real>(context, cells), Buffer<Real>(context, cells),
                         Buffer<std::int32_t>(context, static_cast<std::size_t>(table.own_rows()))});
    }
  }
}

template <class Real>
void Adam<Real>::make_factors(const Context& context) {
  require(std::isfinite(options_.learning_rate) && options_.learning_rate > 0,
          "the learning rate of Adam must be a number above 0");
  const std::vector<AdamFactors<Real>> factors = adam_factors<Real>(options_.learning_rate);
  factors_ = Buffer<AdamFactors<Real>>(context, std::span<const AdamFactors<Real>>(factors));
}

template <class Real>
void Adam<Real>::set_learning_rate(const Context& context, double rate) {
  flush(context);
  context.synchronize();  // the factors may still be read
  options_.learning_rate = rate;
  make_factors(context);
}

template <class Real>
AdamArgs<Real> Adam<Real>::args(std::int32_t step) {
  static_assert(AdamArgs<Real>::kMaxTables >= AdamArgs<Real>::kMaxGradients * kVocabularies);
  static_assert(AdamArgs<Real>::kMaxFields >= kFields);
  AdamArgs<Real> args;
  args.l2 = static_cast<Real>(options_.l2);
  args.table_l2 = static_cast<Real>(options_.embedding_l2.value_or(options_.l2));
  args.lazy = options_.lazy;
  args.step = step;
  args.factors = factors_.data();
  args.n_factors = static_cast<std::int32_t>(factors_.size());
  args.values = parameters_.values().data();
  args.slab_gradients = parameters_.gradients().data();
  args.first = first_.data();
  args.second = second_.data();
  args.size = parameters_.size();
  int set = 0;
  for (Embedding<Real>* embedding : embeddings_) {
    for (auto& from : embedding->tables()) {
      TableState& state = tables_[static_cast<std::size_t>(args.n_tables)];
      AdamTable<Real>& table = args.tables[args.n_tables++];
      table.weights = from.weights.data();
      table.first = state.first.data();
      table.second = state.second.data();
      table.steps = state.steps.data();
      table.width = embedding->width();
      table.gradients = set;
    }
    ++set;
  }
  return args;
}

template <class Real>
AdamArgs<Real> Adam<Real>::args(std::int32_t step, const FeatureBatch& batch) {
  AdamArgs<Real> args = this->args(step);
  int k = 0, set = 0;
  for (Embedding<Real>* embedding : embeddings_) {
    for (const auto& from : embedding->tables()) {
      AdamTable<Real>& table = args.tables[k++];
      if (!from.shard.is_whole()) continue;
      const TablePlan& plan = batch.plans[static_cast<std::size_t>(from.vocabulary)];
      table.n = plan.n;
      table.keys = plan.keys;
      table.offsets = plan.offsets;
      table.field = plan.field;
      table.row = plan.row;
    }
    for (std::size_t f = 0; f < static_cast<std::size_t>(kFields); ++f) {
      const Tensor<Real>& gradient = embedding->gradient(static_cast<Field>(f));
      if (gradient.size() == 0) continue;
      require(gradient.rows() == batch.bags(static_cast<Field>(f)),
              "Adam: an embedding's gradient has not as many rows as the batch has bags");
      args.gradients[set][f] = {gradient.data(), gradient.stride(), batch.fields[f].length};
    }
    ++set;
  }
  return args;
}

template <class Real>
void Adam<Real>::begin(const Context& context, const FeatureBatch& batch) {
  require(
      batch.rows == 0 || std::ranges::any_of(batch.plans, [](const TablePlan& plan) { return plan.n > 0; }),
      "Adam::begin: the batch has no plans; make it for training");
  begun_ = true;
  if (options_.lazy) return;
  AdamArgs<Real> args = this->args(steps_, batch);
  const std::int32_t part = steps_ % kAdamSweep;
  int k = 0;
  for (Embedding<Real>* embedding : embeddings_) {
    for (const auto& from : embedding->tables()) {
      AdamTable<Real>& table = args.tables[k++];
      table.sweep_begin = part_begin(from.own_rows(), part, kAdamSweep);
      table.sweep_end = part_begin(from.own_rows(), part + 1, kAdamSweep);
    }
  }
  run(context, AdamCatchUp<Real>{.args = args});
}

template <class Real>
void Adam<Real>::bring_up(const Context& context, Vocabulary vocabulary, std::int64_t n, const Id* keys) {
  if (options_.lazy || n == 0) return;
  AdamArgs<Real> args = this->args(steps_);
  int k = 0;
  for (Embedding<Real>* embedding : embeddings_) {
    for (const auto& from : embedding->tables()) {
      AdamTable<Real>& table = args.tables[k++];
      if (from.vocabulary != vocabulary) continue;
      table.n = n;
      table.keys = keys;
    }
  }
  run(context, AdamCatchUp<Real>{.args = args});
}

template <class Real>
void Adam<Real>::step(const Context& context, const FeatureBatch& batch) {
  require(begun_, "Adam::step: call begin with the batch first, before forward reads its rows");
  begun_ = false;
  ++steps_;
  run(context, AdamStep<Real>{.args = args(steps_, batch)});
  clear_gradients();
}

template <class Real>
void Adam<Real>::clear_gradients() {
  for (Embedding<Real>* embedding : embeddings_) embedding->clear_gradients();
}

template <class Real>
void Adam<Real>::make_singles(const Context& context, std::int64_t rows) {
  if (rows <= singles_.rows) return;
  const std::int64_t size = 2 * rows;
  const auto n = static_cast<std::size_t>(size);
  std::vector<std::int64_t> offsets(n + 1);
  std::iota(offsets.begin(), offsets.end(), 0);
  std::vector<std::int8_t> field;
  for (int v = 0; v < kVocabularies; ++v) field.insert(field.end(), n, static_cast<std::int8_t>(v));
  std::vector<std::int32_t> row(n);
  std::iota(row.begin(), row.end(), 0);
  singles_ = {Buffer<std::int64_t>(context, std::span<const std::int64_t>(offsets)),
              Buffer<std::int8_t>(context, std::span<const std::int8_t>(field)),
              Buffer<std::int32_t>(context, std::span<const std::int32_t>(row)),
              Buffer<std::int32_t>(context, std::vector<std::int32_t>(n, 1)), size};
}

template <class Real>
void Adam<Real>::step_rows(const Context& context, std::span<const RowSums> rows) {
  require(begun_, "Adam::step: call begin with the batch first, before forward reads its rows");
  require(rows.size() == tables_.size(), "Adam::step_rows: the rows of every table are wanted");
  begun_ = false;
  std::int64_t most = 0;
  for (const RowSums& each : rows) most = std::max(most, each.n);
  make_singles(context, most);
  const auto with_keys = [&](std::int32_t step) {
    AdamArgs<Real> args = this->args(step);
    for (std::size_t k = 0; k < rows.size(); ++k) {
      args.tables[k].n = rows[k].n;
      args.tables[k].keys = rows[k].keys;
    }
    return args;
  };
  if (!options_.lazy) run(context, AdamCatchUp<Real>{.args = with_keys(steps_)});
  ++steps_;
  AdamArgs<Real> args = with_keys(steps_);
  std::size_t k = 0;
  for (Embedding<Real>* embedding : embeddings_) {
    for (const auto& from : embedding->tables()) {
      const auto vocabulary = static_cast<std::int64_t>(from.vocabulary);
      AdamTable<Real>& table = args.tables[k];
      table.offsets = singles_.offsets.data();
      table.field = singles_.field.data() + vocabulary * singles_.rows;
      table.row = singles_.row.data();
      args.gradients[table.gradients][vocabulary] = {rows[k].gradients, embedding->width(),
                                                     singles_.length.data()};
      ++k;
    }
  }
  run(context, AdamStep<Real>{.args = args});
  clear_gradients();
}

template <class Real>
void Adam<Real>::flush(const Context& context) {
  if (options_.lazy) return;
  AdamArgs<Real> args = this->args(steps_);
  int k = 0;
  for (Embedding<Real>* embedding : embeddings_) {
    for (const auto& from : embedding->tables()) args.tables[k++].sweep_end = from.own_rows();
  }
  run(context, AdamCatchUp<Real>{.args = args});
}

template <class Real>
void Adam<Real>::set_steps(const Context& context, std::int32_t steps) {
  require(steps >= 0, "Adam: a negative number of steps; the checkpoint is damaged");
  const std::int32_t least = options_.lazy ? 0 : std::max(0, steps - kAdamSweep);
  for (const TableState& table : tables_) {
    for (const std::int32_t step : table.steps.to_host(context)) {
      require(step >= least && step <= steps, "Adam: the last step of a row is number " +
                                                  std::to_string(step) + " of " + std::to_string(steps) +
                                                  "; the checkpoint is damaged");
    }
  }
  steps_ = steps;
  begun_ = false;
}

template <class Real>
std::vector<NamedBuffer> Adam<Real>::named_buffers() {
  std::vector<NamedBuffer> named;
  const std::int64_t size = parameters_.size();
  if (size != 0) {
    named.push_back({"adam.first", {size}, &first_});
    named.push_back({"adam.second", {size}, &second_});
  }
  std::size_t k = 0;
  for (Embedding<Real>* embedding : embeddings_) {
    for (const auto& from : embedding->tables()) {
      TableState& table = tables_[k++];
      const std::string prefix = "adam." + from.name;
      named.push_back({prefix + ".first", {from.rows, embedding->width()}, &table.first, from.shard});
      named.push_back({prefix + ".second", {from.rows, embedding->width()}, &table.second, from.shard});
      named.push_back({prefix + ".steps", {from.rows}, &table.steps, from.shard});
    }
  }
  return named;
}

template <class Real>
std::vector<NamedBuffer> named_buffers(Backbone<Real>& backbone) {
  std::vector<NamedBuffer> named;
  const auto add = [&](const char* name, Buffer<Real>& buffer) {
    if (buffer.size() != 0) named.push_back({name, {static_cast<std::int64_t>(buffer.size())}, &buffer});
  };
  add("parameters", backbone.parameters().values());
  add("state", backbone.parameters().state());
  for (Embedding<Real>* embedding : backbone.embeddings()) {
    for (auto& table : embedding->tables()) {
      named.push_back({table.name, {table.rows, embedding->width()}, &table.weights, table.shard});
    }
  }
  return named;
}

template class Adam<float>;
template class Adam<double>;
template std::vector<NamedBuffer> named_buffers(Backbone<float>& backbone);
template std::vector<NamedBuffer> named_buffers(Backbone<double>& backbone);

}  // namespace sllmr
