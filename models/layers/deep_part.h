// The deep part of backbones.
#pragma once

#include <cstdint>

#include "kernels/dense/row_sums.h"
#include "models/layers/mlp.h"

namespace sllmr {

/// An Mlp, "deep", and a linear map of its result to one number, "deep_out".
template <class Real>
class DeepPart {
 public:
  struct Saved {
    typename Mlp<Real>::Saved hidden;
    typename Dropout<Real>::Saved last_dropout;
    typename Linear<Real>::Saved out;
  };

  /// With `last_dropout` the options' dropout acts on the input of deep_out, too.
  DeepPart(Parameters<Real>& parameters, std::int64_t in, const MlpOptions& options,
           bool last_dropout = false)
      : hidden_(parameters, "deep", in, options),
        last_dropout_("deep_out", last_dropout ? options.dropout : 0,
                      static_cast<int>(parameters.parts().size())),
        out_(parameters, "deep_out", hidden_.out(), 1, options.initial) {}

  /// [rows x 1]. `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass& pass, Saved* saved) const {
    const Tensor<Real> hidden =
        last_dropout_.forward(context, hidden_.forward(context, x, pass, saved ? &saved->hidden : nullptr),
                              pass, saved ? &saved->last_dropout : nullptr);
    return out_.forward(context, hidden, pass, saved ? &saved->out : nullptr);
  }
  /// Gradients of the parameters; returns that of x.
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const {
    const Tensor<Real> d_hidden = out_.backward(context, saved.out, d_out);
    return hidden_.backward(context, saved.hidden,
                            last_dropout_.backward(context, saved.last_dropout, d_hidden));
  }

  /// For ranking, as those of Mlp; forward_sums writes out [rows x 1].
  Tensor<Real> first_sums(const Context& context, const Tensor<Real>& x) const {
    return hidden_.first_sums(context, x);
  }
  Tensor<Real> first_sums_and_biases(const Context& context, const Tensor<Real>& x) const {
    return hidden_.first_sums_and_biases(context, x);
  }
  void forward_sums(const Context& context, const Tensor<Real>& user, const Tensor<Real>& items,
                    const Tensor<Real>& out) const {
    run(context, RowProducts<Real>{.x = hidden_.forward_sums(context, user, items),
                                   .weight = out_.weight(),
                                   .bias = out_.bias(),
                                   .out = out});
  }
  Tensor<Real> forward_sums(const Context& context, const Tensor<Real>& user,
                            const Tensor<Real>& items) const {
    Tensor<Real> out(context, items.rows(), 1);
    forward_sums(context, user, items, out);
    return out;
  }

 private:
  Mlp<Real> hidden_;
  Dropout<Real> last_dropout_;
  Linear<Real> out_;
};

}  // namespace sllmr
