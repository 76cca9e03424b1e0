// What backbones that read all fields have for an input.
#pragma once

#include <cmath>
#include <memory>
#include <string>

#include "kernels/dense/combine.h"
#include "kernels/exec/gemm.h"
#include "models/backbones/fields.h"

namespace sllmr {

/// The extra vector of a backbone, if its options bring one.
template <class Real>
class ExtraInput {
 public:
  using Saved = std::unique_ptr<typename ExtraVector<Real>::Saved>;

  /// Throws Error for a field that is not as wide as the others.
  ExtraInput(const Context& context, Parameters<Real>& parameters, const BackboneOptions& options,
             const ExtraSeat& seat)
      : vector_(options.extra == nullptr ? nullptr
                                         : options.extra->make(context, parameters, options.width, seat)) {
    require(seat.place == ExtraPlace::joined || width() == 0 || width() == options.width,
            "the extra vector has " + std::to_string(width()) + " numbers and is to be a field, of " +
                std::to_string(options.width));
  }

  /// 0 where there is none; the functions below then do nothing.
  int width() const { return vector_ == nullptr ? 0 : vector_->width(); }
  /// See ExtraVector; all tensors may be slices of columns.
  bool reads_fields() const { return vector_ != nullptr && vector_->reads_fields(); }
  bool has_sides() const { return vector_ == nullptr || vector_->has_sides(); }
  void forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
               const Tensor<Real>& fields, const Tensor<Real>& out, Saved* saved) const {
    if (vector_ != nullptr) vector_->forward(context, batch, pass, fields, out, saved);
  }
  void backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out,
                const Tensor<Real>& d_fields) const {
    if (vector_ != nullptr) vector_->backward(context, *saved, d_out, d_fields);
  }
  Tensor<Real> of_examples(const Context& context, const FeatureBatch& batch, std::int64_t first,
                           const Tensor<Real>& fields) const {
    return vector_ == nullptr ? Tensor<Real>() : vector_->of_examples(context, batch, first, fields);
  }
  void of_side(const Context& context, const FeatureBatch& batch, Side side, const Tensor<Real>& out) const {
    if (vector_ != nullptr) vector_->of_side(context, batch, side, out);
  }

 private:
  std::unique_ptr<ExtraVector<Real>> vector_;
};

/// x [rows x columns()]: the vectors of the fields one beside the other, "embedding", and the extra vector.
/// Of examples that a batch brings along the extra vector alone sees the fields.
template <class Real>
class Inputs {
 public:
  struct Saved {
    Tensor<Real> x;
    typename ExtraInput<Real>::Saved extra;
  };

  Inputs(const Context& context, Parameters<Real>& parameters, const BackboneOptions& options,
         const EmbeddingInitial& tables, const ExtraSeat& seat)
      : embedding_(context, "embedding", options.width, kAllFields, options.table_rows,
                   options.initial(tables), options.seed, options.shards),
        extra_(context, parameters, options, seat) {}

  /// Of a field.
  int width() const { return embedding_.width(); }
  /// How many vectors of width() stand side by side where the extra one is a field.
  int fields() const { return extra_.width() == 0 ? kFields : kFields + 1; }
  std::int64_t columns() const { return of_fields() + extra_.width(); }
  int extra_width() const { return extra_.width(); }

  Tensor<Real> forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       Saved* saved) const {
    const Tensor<Real> x(context, batch.all_rows(), columns());
    embedding_.forward_to(context, batch, fields_of(x));
    const Tensor<Real> of_rows = x.row_range(0, batch.rows);
    extra_.forward(context, batch, pass, fields_of(x), extra_of(of_rows), saved ? &saved->extra : nullptr);
    if (saved) saved->x = of_rows;
    return of_rows;
  }
  RowVectors<Real> row_vectors(const Saved& saved) const { return user_then_item(saved.x, width()); }
  /// Adds d_vectors to d_x first.
  void backward(const Context& context, const FeatureBatch& batch, const Saved& saved,
                const Tensor<Real>& d_x, const RowVectors<Real>& d_vectors) {
    add_to(context, d_vectors, user_then_item(d_x, width()));
    const Tensor<Real> d_fields = with_zero_rows(context, fields_of(d_x), batch.all_rows());
    extra_.backward(context, saved.extra, extra_of(d_x), d_fields);
    embedding_.backward(d_fields);
  }
  /// See Backbone.
  Tensor<Real> of_examples(const Context& context, const FeatureBatch& batch, std::int64_t first) const {
    if (!extra_.reads_fields()) return {};
    const Tensor<Real> fields(context, batch.rows, of_fields());
    embedding_.forward_to(context, batch, fields);
    return extra_.of_examples(context, batch, first, fields);
  }
  /// Is x the sum of what the rows' two sides make of it?
  bool has_sides() const { return extra_.has_sides(); }
  /// For ranking: x of rows of which one side is there.
  Tensor<Real> of_side(const Context& context, const FeatureBatch& batch, Side side) const {
    const Tensor<Real> x = extra_width() != 0 ? Tensor<Real>::zeros(context, batch.rows, columns())
                                              : Tensor<Real>(context, batch.rows, columns());
    embedding_.forward_to(context, batch, fields_of(x));
    extra_.of_side(context, batch, side, extra_of(x));
    return x;
  }

  Tensor<Real> fields_of(const Tensor<Real>& x) const { return x.columns(0, of_fields()); }
  Tensor<Real> extra_of(const Tensor<Real>& x) const { return x.columns(of_fields(), extra_.width()); }
  Embedding<Real>& embedding() { return embedding_; }
  const Embedding<Real>& embedding() const { return embedding_; }

 private:
  std::int64_t of_fields() const { return std::int64_t{kFields} * embedding_.width(); }

  Embedding<Real> embedding_;
  ExtraInput<Real> extra_;
};

/// The linear term w . z of the extra vector z, without a bias. Parameter "extra_term.weight" {1, width of
/// z}, from U(+-1 / sqrt(width)). Of a model without such a vector it is nothing.
template <class Real>
class ExtraTerm {
 public:
  struct Saved {
    Tensor<Real> z;
  };

  ExtraTerm(Parameters<Real>& parameters, const Inputs<Real>& inputs) : parameters_(&parameters) {
    const std::int64_t width = inputs.extra_width();
    if (width == 0) return;
    weight_ = parameters.add("extra_term.weight", {1, width},
                             Initial::uniform(1.0 / std::sqrt(static_cast<double>(width))));
  }

  /// [rows x 1] of z [rows x width]; without columns where there is none. `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& z, Saved* saved) const {
    if (weight_ == kNone) return {};
    if (saved != nullptr) saved->z = z;
    return products<Real>(context, z, parameters_->matrix(weight_));
  }
  /// Adds to d_z.
  void backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out,
                const Tensor<Real>& d_z) const {
    if (weight_ == kNone) return;
    multiply(context, transposed(d_out), saved.z, parameters_->gradient_matrix(weight_));
    multiply_add(context, d_out, parameters_->matrix(weight_), d_z);
  }

 private:
  static constexpr int kNone = -1;

  const Parameters<Real>* parameters_;
  int weight_ = kNone;
};

}  // namespace sllmr
