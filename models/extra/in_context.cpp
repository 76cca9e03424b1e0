#include "models/extra/in_context.h"

#include <cmath>
#include <span>
#include <type_traits>
#include <utility>

#include "kernels/dense/activation.h"
#include "kernels/dense/combine.h"
#include "models/layers/example_tokens/kernels.h"

namespace sllmr {

namespace {

void require_pool(const InContextOptions& options) {
  require(options.examples >= 1 && !options.labels.empty(),
          "an in-context vector needs a pool of examples, and at least one slot of a row for them");
  require(options.chains.values == nullptr ||
              (options.chains.width == options.vectors.width &&
               options.chains.values->size() ==
                   options.labels.size() * static_cast<std::size_t>(options.chains.width)),
          "the chains must be one vector an example, as wide as the items'");
}

const TablePlan& plan_of_items(const FeatureBatch& batch) {
  return batch.plans[static_cast<std::size_t>(Vocabulary::item)];
}

/// An item's text is mapped once, however many rows have it, where the batch knows.
std::int64_t item_rows(const FeatureBatch& batch) {
  return batch.different_items > 0 ? batch.different_items : batch.all_rows();
}

template <class Real>
void copy(const Context& context, const Tensor<Real>& x, const Tensor<Real>& to) {
  run(context, Epilogue<Real>{.x = x, .out = to});
}

}  // namespace

template <class Real>
InContext<Real>::InContext(const Context& context, Parameters<Real>& parameters, int width,
                           const ExtraSeat& seat, const InContextOptions& options)
    : width_(width),
      examples_(options.examples),
      weight_(options.reconstruction),
      parameters_(&parameters),
      vectors_(context, options.vectors),
      pool_labels_(context, std::span<const std::int8_t>(options.labels)),
      text_(parameters, "llmcf.text", vectors_.width(), options.text_hidden, width, seat.layers),
      joint_(parameters, "llmcf.joint", std::int64_t{kFields + 2} * width, options.joint_hidden, width,
             seat.layers),
      labels_(parameters.add("llmcf.labels", {2, width}, Initial::normal(1))),
      transformer_(
          context, parameters, "llmcf.transformer",
          {.tokens = (options.chains.values != nullptr ? 3 : 2) * options.examples + 1, .width = width},
          seat.layers == LinearInitial::xavier) {
  require_pool(options);
  if (seat.gelu_map) out_.emplace(parameters, "llmcf.out", width, width, LinearInitial::standard);
  if (options.chains.values == nullptr) return;
  chains_.emplace(context, options.chains);
  if (weight_ == 0) return;
  reconstruction_.emplace(parameters, "llmcf.reconstruction", width, options.reconstruction_hidden,
                          vectors_.width(), seat.layers);
}

template <class Real>
Tensor<Real> InContext<Real>::of_slots(const Tensor<Real>& y, std::int64_t rows, int slot) const {
  return y.reshaped(rows, std::int64_t{transformer_.tokens()} * width_)
      .columns(std::int64_t{slot} * of_slot() * width_, width_);
}

template <class Real>
template <class PutChains>
auto InContext<Real>::parts(const Context& context, const FeatureBatch& batch, const Tensor<Real>& fields,
                            std::int64_t chains, const PutChains& put_chains, const Pass& pass,
                            Saved* saved) const -> Parts {
  const std::int64_t all = batch.all_rows(), items = item_rows(batch);
  const Tensor<Real> texts(context, items + all + chains, vectors_.width());
  const auto take = [&](const Matrix<const Real>& table, const Id* ids, const Tensor<Real>& to) {
    run(context, TakeRows<Real>{.table = table, .ids = ids, .out = to});
  };
  if (batch.different_items > 0) {
    take(vectors_.rows(), plan_of_items(batch).keys, texts.row_range(0, items));
  } else {
    vectors_.of_items(context, batch, texts.row_range(0, items));
  }
  vectors_.of_histories(context, batch, texts.row_range(items, all));
  if (chains > 0) put_chains(texts.row_range(items + all, chains));
  const Tensor<Real> mapped = text_.forward(context, texts, pass, saved ? &saved->text : nullptr);

  const Tensor<Real> joined(context, all, std::int64_t{kFields + 2} * width_);
  copy(context, fields, joined.columns(0, std::int64_t{kFields} * width_));
  const Tensor<Real> of_items = joined.columns(std::int64_t{kFields} * width_, width_);
  if (batch.different_items > 0) {
    take(mapped.row_range(0, items), batch.item_number, of_items);
  } else {
    copy(context, mapped.row_range(0, items), of_items);
  }
  copy(context, mapped.row_range(items, all), joined.columns(std::int64_t{kFields + 1} * width_, width_));
  return {joint_.forward(context, joined, pass, saved ? &saved->joint : nullptr),
          mapped.row_range(items + all, chains)};
}

template <class Real>
Tensor<Real> InContext<Real>::of_examples(const Context& context, const FeatureBatch& batch,
                                          std::int64_t first, const Tensor<Real>& fields) const {
  const std::int64_t rows = batch.rows;
  const auto put_chains = [&](const Tensor<Real>& to) {
    run(context, Epilogue<Real>{.x = chains_->rows().row_range(first, rows), .out = to});
  };
  const Parts of = parts(context, batch, fields, has_chains() ? rows : 0, put_chains, Pass{}, nullptr);
  if (!has_chains()) return of.x;
  Tensor<Real> out(context, rows, 2 * std::int64_t{width_});
  run(context, Concatenate<Real>{.left = of.x, .right = of.chains, .out = out});
  return out;
}

template <class Real>
auto InContext<Real>::made_examples(const ExampleRows& examples) const -> MadeParts {
  if constexpr (std::is_same_v<Real, float>) {
    const Matrix<const Real> made(examples.made, static_cast<std::int64_t>(pool_labels_.size()),
                                  (has_chains() ? 2 : 1) * std::int64_t{width_});
    return {made.columns(0, width_), has_chains() ? made.columns(width_, width_) : Matrix<const Real>()};
  } else {
    throw Error("InContext: what was made of a pool beforehand is of single precision");
  }
}

template <class Real>
void InContext<Real>::forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
                              const Tensor<Real>& fields, const Tensor<Real>& out,
                              std::unique_ptr<BaseSaved>* saved) const {
  const ExampleRows& examples = batch.examples;
  require(examples.each == examples_, "InContext: the batch brings another number of examples");
  require(examples.made == nullptr || saved == nullptr, "InContext: examples made beforehand do not train");
  auto kept = saved != nullptr ? std::make_unique<Saved>() : nullptr;
  const std::int64_t rows = batch.rows;
  const auto put_chains = [&](const Tensor<Real>& to) {
    run(context, TakeRows<Real>{.table = chains_->rows(), .ids = examples.number, .out = to});
  };
  const Parts of = parts(context, batch, fields, has_chains() ? examples.n : 0, put_chains, pass, kept.get());
  const MadeParts pool =
      examples.made != nullptr
          ? made_examples(examples)
          : MadeParts{of.x.row_range(rows, examples.n), has_chains() ? of.chains : Matrix<const Real>()};

  const Tensor<Real> tokens(context, rows * transformer_.tokens(), width_);
  run(context, ExampleTokens<Real>{.examples = examples,
                                   .label = pool_labels_.data(),
                                   .x = of.x.row_range(0, rows),
                                   .of_examples = pool.x,
                                   .chains = pool.chains,
                                   .labels = parameters_->matrix(labels_),
                                   .out = tokens});
  const Tensor<Real> y = transformer_.forward(context, tokens, {examples.of_row, examples.each, of_slot()},
                                              kept ? &kept->transformer : nullptr);
  const Tensor<Real> last = of_slots(y, rows, examples_);
  if (out_) {
    const Tensor<Real> sums = out_->forward(context, last, pass, kept ? &kept->out : nullptr);
    run(context, Gelu<Real>{.x = sums, .out = out});
    if (kept) kept->out_sums = sums;
  } else {
    copy(context, last, out);
  }
  if (!kept) return;
  require(batch.different_items > 0, "InContext: a batch without plans does not train");
  kept->rows = rows;
  kept->different_items = batch.different_items;
  kept->items = plan_of_items(batch);
  kept->examples = examples;
  if (reconstruction_) {
    const Tensor<Real> of_examples(context, rows * examples_, width_);
    for (int slot = 0; slot < examples_; ++slot) {
      copy(context, of_slots(y, rows, slot),
           of_examples.reshaped(rows, std::int64_t{examples_} * width_)
               .columns(std::int64_t{slot} * width_, width_));
    }
    kept->rebuilt = reconstruction_->forward(context, of_examples, pass, &kept->reconstruction);
  }
  *saved = std::move(kept);
}

template <class Real>
void InContext<Real>::reconstruct(const Context& context, const Saved& saved, const Tensor<Real>& d_y) const {
  const Tensor<Real> d_rebuilt(context, saved.rebuilt.rows(), saved.rebuilt.cols());
  const Tensor<Real> cosines(context, saved.rebuilt.rows(), 1);
  const auto filled = static_cast<double>(std::max<std::int64_t>(1, saved.examples.filled));
  run(context, ExampleCosines<Real>{.examples = saved.examples,
                                    .frozen = chains_->rows(),
                                    .scale = static_cast<Real>(-weight_ / filled),
                                    .y = saved.rebuilt,
                                    .cosines = cosines,
                                    .d_y = d_rebuilt});
  const Tensor<Real> d = reconstruction_->backward(context, saved.reconstruction, d_rebuilt)
                             .reshaped(saved.rows, std::int64_t{examples_} * width_);
  for (int slot = 0; slot < examples_; ++slot) {
    run(context, AddTo<Real>{.x = d.columns(std::int64_t{slot} * width_, width_),
                             .to = of_slots(d_y, saved.rows, slot)});
  }
}

template <class Real>
void InContext<Real>::backward(const Context& context, const BaseSaved& base, const Tensor<Real>& d_out,
                               const Tensor<Real>& d_fields) const {
  const auto& saved = static_cast<const Saved&>(base);
  const std::int64_t rows = saved.rows, all = rows + saved.examples.n, items = saved.different_items;
  const std::int64_t chains = has_chains() ? saved.examples.n : 0;
  const auto d_y = Tensor<Real>::zeros(context, rows * transformer_.tokens(), width_);
  Tensor<Real> d_last = d_out;
  if (out_) {
    const Tensor<Real> d_sums(context, rows, width_);
    run(context, GeluBackward<Real>{.x = saved.out_sums, .d_out = d_out, .d_x = d_sums});
    d_last = out_->backward(context, saved.out, d_sums);
  }
  copy(context, d_last, of_slots(d_y, rows, examples_));
  if (reconstruction_) reconstruct(context, saved, d_y);
  const Tensor<Real> d_tokens = transformer_.backward(context, saved.transformer, d_y);

  const Tensor<Real> d_x(context, all, width_), d_mapped(context, items + all + chains, width_);
  run(context,
      ExampleTokensBackward<Real>{
          .examples = saved.examples,
          .rows = rows,
          .label = pool_labels_.data(),
          .d_out = d_tokens,
          .d_x = d_x,
          .d_chains = has_chains() ? Matrix<Real>(d_mapped.row_range(items + all, chains)) : Matrix<Real>(),
          .d_labels = parameters_->gradient_matrix(labels_)});
  const Tensor<Real> d_joined = joint_.backward(context, saved.joint, d_x);
  run(context, AddTo<Real>{.x = d_joined.columns(0, std::int64_t{kFields} * width_), .to = d_fields});
  run(context, TakeItemsBackward<Real>{.plan = saved.items,
                                       .d_out = d_joined.columns(std::int64_t{kFields} * width_, width_),
                                       .d_table = d_mapped.row_range(0, items)});
  copy(context, d_joined.columns(std::int64_t{kFields + 1} * width_, width_), d_mapped.row_range(items, all));
  text_.backward_of_frozen(context, saved.text, d_mapped);
}

template class InContext<float>;
template class InContext<double>;

std::shared_ptr<const ExtraVectorMaker> in_context(const InContextOptions& options) {
  require_pool(options);
  return std::make_shared<ExtraVectorMakerOf<InContext, InContextOptions>>(options);
}

}  // namespace sllmr
