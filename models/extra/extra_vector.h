// A vector that a backbone reads beside its seven fields, made of what an encoder says of the row's item and
// history. docs/guidance.md tells which methods bring one along.
#pragma once

#include <memory>

#include "kernels/exec/tensor.h"
#include "models/features.h"
#include "models/layers/linear.h"
#include "models/layers/parameters.h"

namespace sllmr {

/// Owns its parameters, which train with the backbone's.
template <class Real>
class ExtraVector {
 public:
  /// What forward keeps for backward.
  struct Saved {
    virtual ~Saved() = default;
  };

  virtual ~ExtraVector() = default;

  virtual int width() const = 0;
  /// Does it read the fields' vectors? If not, `fields` and `d_fields` may be empty.
  virtual bool reads_fields() const { return false; }
  /// The rows' vectors to out [rows x width()], from fields [batch.all_rows() x kFields * the fields' width].
  /// `saved`, when not null, gets what backward needs.
  virtual void forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
                       const Tensor<Real>& fields, const Tensor<Real>& out,
                       std::unique_ptr<Saved>* saved) const = 0;
  /// Replaces the gradients of its parameters, from d_out [rows x width()], and adds to those of the fields.
  virtual void backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out,
                        const Tensor<Real>& d_fields) const = 0;
  /// What it makes of the examples that `batch` consists of, rows `first` and following of their pool, once
  /// for all batches of an evaluation (ExampleRows::made). Without elements where it has none.
  virtual Tensor<Real> of_examples(const Context&, const FeatureBatch& /*batch*/, std::int64_t /*first*/,
                                   const Tensor<Real>& /*fields*/) const {
    return {};
  }
  /// Is it, without training, the sum of what the rows' two sides make of it?
  virtual bool has_sides() const { return true; }
  /// For ranking: what one side makes of it. `out` holds zeros. Only where it has sides.
  virtual void of_side(const Context&, const FeatureBatch& /*batch*/, Side,
                       const Tensor<Real>& /*out*/) const {
    throw Error("ExtraVector::of_side: this vector has no sides");
  }
};

/// How a backbone takes an extra vector: as one more field, which must be as wide as the others, or joined to
/// the input of its layers, of any width.
enum class ExtraPlace { field, joined };

/// What a backbone says of itself to its extra vector.
struct ExtraSeat {
  ExtraPlace place;
  LinearInitial layers = LinearInitial::standard;  // how its linear layers start
  bool gelu_map = false;  // LLM-CF's DCN takes its vector through a linear layer and a GELU more
};

/// Makes the extra vector of a model.
class ExtraVectorMaker {
 public:
  virtual ~ExtraVectorMaker() = default;
  /// Adds its parameters to those of the model, whose fields have vectors of `width` numbers.
  virtual std::unique_ptr<ExtraVector<float>> make(const Context& context, Parameters<float>& parameters,
                                                   int width, const ExtraSeat& seat) const = 0;
  virtual std::unique_ptr<ExtraVector<double>> make(const Context& context, Parameters<double>& parameters,
                                                    int width, const ExtraSeat& seat) const = 0;
};

/// Both of `Made`, a class template whose instances are made of (context, parameters, width, seat, options).
template <template <class> class Made, class Options>
class ExtraVectorMakerOf final : public ExtraVectorMaker {
 public:
  explicit ExtraVectorMakerOf(Options options) : options_(std::move(options)) {}

  std::unique_ptr<ExtraVector<float>> make(const Context& context, Parameters<float>& parameters, int width,
                                           const ExtraSeat& seat) const override {
    return std::make_unique<Made<float>>(context, parameters, width, seat, options_);
  }
  std::unique_ptr<ExtraVector<double>> make(const Context& context, Parameters<double>& parameters, int width,
                                            const ExtraSeat& seat) const override {
    return std::make_unique<Made<double>>(context, parameters, width, seat, options_);
  }

 private:
  Options options_;
};

}  // namespace sllmr
