// Deep interest network (Zhou et al., KDD 2018), with LLM-CF's sizes and initial values.
#include <array>
#include <vector>

#include "kernels/dense/activation.h"
#include "kernels/dense/combine.h"
#include "kernels/exec/gemm.h"
#include "models/backbones/info.h"
#include "models/backbones/inputs.h"
#include "models/backbones/rank_tiles.h"
#include "models/backbones/typed_backbone.h"
#include "models/layers/deep_part.h"
#include "models/layers/din_attention/din_attention.h"
#include "models/layers/history_pool/kernels.h"

namespace sllmr {

namespace {

/// logit = deep([q; r; u; z]): q is [item; brand; categories] of the candidate, r the sum of the same of the
/// history's items, weighted by their attention with q, u the user and z an extra vector, if there is one.
template <class Real>
class Din final : public TypedBackbone<Real, Din<Real>> {
 public:
  struct Saved {
    Tensor<Real> x;
    typename ExtraInput<Real>::Saved extra;
    typename DinAttention<Real>::Saved attention;
    typename DeepPart<Real>::Saved deep;
  };
  struct Catalogue {
    typename DinAttention<Real>::QuerySide attention;
    Tensor<Real> deep;  // [items x hidden[0]]
  };

  Din(const Context& context, const BackboneOptions& options)
      : embedding_(context, "embedding", options.width, kAllFields, options.table_rows,
                   options.initial({EmbeddingInitial::Kind::xavier}), options.seed, options.shards),
        extra_(context, this->parameters_, options, {ExtraPlace::joined, LinearInitial::xavier}),
        attention_(this->parameters_, "attention", static_cast<int>(kQuery.size()) * options.width,
                   options.din_attention_hidden),
        deep_(this->parameters_, columns(),
              {.hidden = options.hidden,
               .dropout = options.dropout,
               .dropout_at = MlpOptions::DropoutAt::output,
               .initial = LinearInitial::xavier}) {
    this->parameters_.allocate(context, options.seed);
  }

  bool wants_sequence() const override { return true; }

  Tensor<Real> compute(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       Saved* saved) const {
    const Tensor<Real> all(context, batch.all_rows(), columns()), x = all.row_range(0, batch.rows);
    const Tensor<Real> all_keys(context, batch.positions, query(x).cols()),
        keys = all_keys.row_range(0, batch.own_positions());
    look_up(context, batch, all, all_keys);
    if (saved) saved->x = x;
    extra_.forward(context, batch, pass,
                   extra_.reads_fields() ? fields(context, batch, all, all_keys) : Tensor<Real>(), extra(x),
                   saved ? &saved->extra : nullptr);
    attention_.forward(context, batch, query(x), keys, interest(x), saved ? &saved->attention : nullptr);
    return deep_.forward(context, x, pass, saved ? &saved->deep : nullptr);
  }

  RowVectors<Real> row_vectors(const Saved& saved) const { return {user(saved.x), part(saved.x, 0)}; }

  void differentiate(const Context& context, const FeatureBatch& batch, const Saved& saved,
                     const Tensor<Real>& d_logits, const RowVectors<Real>& d_vectors) {
    const Tensor<Real> d_x = deep_.backward(context, saved.deep, d_logits);
    const Tensor<Real> d_keys =
        attention_.backward(context, batch, saved.attention, interest(d_x), query(d_x));
    add_to(context, d_vectors, {user(d_x), part(d_x, 0)});
    const Tensor<Real> d_all = with_zero_rows(context, d_x, batch.all_rows()),
                       d_all_keys = with_zero_rows(context, d_keys, batch.positions);
    Tensor<Real> d_fields;
    if (extra_.reads_fields()) {
      d_fields = Tensor<Real>::zeros(context, batch.all_rows(), of_fields());
    }
    extra_.backward(context, saved.extra, extra(d_x), d_fields);
    if (extra_.reads_fields()) add_fields(context, batch, d_fields, d_all, d_all_keys);
    for (std::size_t k = 0; k < kQuery.size(); ++k) {
      embedding_.set_gradient(kQuery[k], part(d_all, k));
      embedding_.set_gradient(kKey[k], part(d_all_keys, k));
    }
    embedding_.set_gradient(Field::user, user(d_all));
  }
  Tensor<Real> of_examples(const Context& context, const FeatureBatch& batch,
                           std::int64_t first) const override {
    if (!extra_.reads_fields()) return {};
    const Tensor<Real> x(context, batch.rows, columns()), keys(context, batch.positions, query(x).cols());
    look_up(context, batch, x, keys);
    return extra_.of_examples(context, batch, first, fields(context, batch, x, keys));
  }
  bool makes_catalogue() const { return extra_.has_sides(); }

  Catalogue items_side(const Context& context, const FeatureBatch& items) const {
    const auto x = Tensor<Real>::zeros(context, items.rows, columns());
    extra_.of_side(context, items, Side::item, extra(x));
    for (std::size_t k = 0; k < kQuery.size(); ++k) {
      embedding_.lookup(context, items, kQuery[k], part(x, k));
    }
    Catalogue out;
    out.attention = attention_.query_side(context, query(x));
    out.deep = deep_.first_sums(context, x);
    return out;
  }

  /// The first linear layer of the deep part is taken to the history's items, too: the sum that it sees of
  /// them is then one of [hidden[0]], not of keys.
  Tensor<Real> rank_items(const Context& context, const Catalogue& items, const FeatureBatch& users) const {
    const auto x = Tensor<Real>::zeros(context, users.rows, columns());
    extra_.of_side(context, users, Side::user, extra(x));
    const auto keys = Tensor<Real>::zeros(context, users.positions, x.cols());
    embedding_.lookup(context, users, Field::user, user(x));
    for (std::size_t k = 0; k < kKey.size(); ++k) {
      embedding_.lookup(context, users, kKey[k], part(interest(keys), k));
    }
    const Tensor<Real> deep = deep_.first_sums_and_biases(context, x);
    const Tensor<Real> of_keys = deep_.first_sums(context, keys);
    const typename DinAttention<Real>::KeySide side = attention_.key_side(context, interest(keys));
    std::vector<std::int64_t> begin(static_cast<std::size_t>(users.rows) + 1);
    copy_to_host(context, begin.data(), users.first_position, begin.size() * sizeof(std::int64_t));

    Tensor<Real> logits(context, users.rows, items.deep.rows());
    for_rank_tiles(
        context, users.rows, items.deep.rows(), [&](std::int64_t user, std::int64_t first, std::int64_t n) {
          Tensor<Real> sums = items.deep.row_range(first, n);
          const std::int64_t position = begin[static_cast<std::size_t>(user)],
                             count = begin[static_cast<std::size_t>(user) + 1] - position;
          if (count > 0) {
            const Tensor<Real> weights =
                attention_.weights(context, items.attention.row_range(first, n), side, position, count);
            const Tensor<Real> of_items = sums;
            sums = Tensor<Real>(context, n, of_items.cols());
            multiply(context, weights, of_keys.row_range(position, count), sums);
            run(context, AddTo<Real>{.x = of_items, .to = sums});
          }
          deep_.forward_sums(context, deep.row_range(user, 1), sums, tile_of(logits, user, first, n));
        });
    return logits;
  }

  std::vector<Embedding<Real>*> embeddings() override { return {&embedding_}; }

 private:
  static constexpr std::array kQuery{Field::item, Field::brand, Field::categories};
  static constexpr std::array kKey{Field::history_items, Field::history_brands, Field::history_categories};

  /// The k-th embedding of a row, and the parts of the deep part's input.
  Tensor<Real> part(const Tensor<Real>& x, std::size_t k) const {
    return x.columns(static_cast<std::int64_t>(k) * embedding_.width(), embedding_.width());
  }
  Tensor<Real> query(const Tensor<Real>& x) const {
    return x.columns(0, 3 * std::int64_t{embedding_.width()});
  }
  Tensor<Real> interest(const Tensor<Real>& x) const {
    return x.columns(3 * std::int64_t{embedding_.width()}, 3 * std::int64_t{embedding_.width()});
  }
  Tensor<Real> user(const Tensor<Real>& x) const { return part(x, 6); }
  Tensor<Real> extra(const Tensor<Real>& x) const { return x.columns(of_fields(), extra_.width()); }

  /// The embeddings of rows to x [rows x columns()], those of their history's items to `keys`.
  void look_up(const Context& context, const FeatureBatch& batch, const Tensor<Real>& x,
               const Tensor<Real>& keys) const {
    for (std::size_t k = 0; k < kQuery.size(); ++k) {
      embedding_.lookup(context, batch, kQuery[k], part(x, k));
      embedding_.lookup(context, batch, kKey[k], part(keys, k));
    }
    embedding_.lookup(context, batch, Field::user, user(x));
  }
  /// All fields as other backbones have them, the history pooled: of x [all rows] and the keys of its
  /// positions.
  Tensor<Real> fields(const Context& context, const FeatureBatch& batch, const Tensor<Real>& x,
                      const Tensor<Real>& keys) const {
    const Tensor<Real> out(context, x.rows(), of_fields());
    const auto copy = [&](const Tensor<Real>& from, Field field) {
      run(context, Epilogue<Real>{.x = from, .out = part(out, static_cast<std::size_t>(field))});
    };
    copy(user(x), Field::user);
    for (std::size_t k = 0; k < kQuery.size(); ++k) {
      copy(part(x, k), kQuery[k]);
      const auto of = static_cast<std::size_t>(kKey[k]);
      run(context, HistoryPool<Real>{.bags = batch.fields[of],
                                     .first_position = batch.first_position,
                                     .x = part(keys, k),
                                     .out = part(out, of)});
    }
    return out;
  }
  /// Adds the gradient of fields() to those of x and keys.
  void add_fields(const Context& context, const FeatureBatch& batch, const Tensor<Real>& d_fields,
                  const Tensor<Real>& d_x, const Tensor<Real>& d_keys) const {
    const auto add = [&](Field field, const Tensor<Real>& to) {
      run(context, AddTo<Real>{.x = part(d_fields, static_cast<std::size_t>(field)), .to = to});
    };
    add(Field::user, user(d_x));
    for (std::size_t k = 0; k < kQuery.size(); ++k) {
      add(kQuery[k], part(d_x, k));
      const auto of = static_cast<std::size_t>(kKey[k]);
      run(context, HistoryPoolBackward<Real>{.bags = batch.fields[of],
                                             .first_position = batch.first_position,
                                             .d_out = part(d_fields, of),
                                             .d_x = part(d_keys, k)});
    }
  }
  std::int64_t of_fields() const { return std::int64_t{kFields} * embedding_.width(); }
  std::int64_t columns() const { return of_fields() + extra_.width(); }

  Embedding<Real> embedding_;
  ExtraInput<Real> extra_;
  DinAttention<Real> attention_;
  DeepPart<Real> deep_;
};

}  // namespace

BackboneInfo din_backbone() {
  return backbone_info<Din>("din", "DIN", "attention over the history, item by item, before a deep part");
}

}  // namespace sllmr
