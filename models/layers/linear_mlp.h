// An Mlp whose last layer is linear.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/layers/mlp.h"

namespace sllmr {

/// Linear layers of the sizes `hidden`, a ReLU behind each, and one to `out` numbers without. Parameters
/// "<name>.<l>.*" and "<name>_out.*".
template <class Real>
class LinearMlp {
 public:
  struct Saved {
    typename Mlp<Real>::Saved hidden;
    typename Linear<Real>::Saved out;
  };

  LinearMlp(Parameters<Real>& parameters, const std::string& name, std::int64_t in,
            const std::vector<int>& hidden, std::int64_t out, LinearInitial initial)
      : hidden_(hidden.empty() ? std::nullopt
                               : std::optional<Mlp<Real>>(std::in_place, parameters, name, in,
                                                          MlpOptions{.hidden = hidden, .initial = initial})),
        out_(parameters, name + "_out", hidden_ ? hidden_->out() : in, out, initial) {}

  /// [rows x out]. `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass& pass, Saved* saved) const {
    const Tensor<Real> hidden =
        hidden_ ? hidden_->forward(context, x, pass, saved ? &saved->hidden : nullptr) : x;
    return out_.forward(context, hidden, pass, saved ? &saved->out : nullptr);
  }
  /// Gradients of the parameters; returns that of x.
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const {
    const Tensor<Real> d = out_.backward(context, saved.out, d_out);
    return hidden_ ? hidden_->backward(context, saved.hidden, d) : d;
  }
  /// The same where x is frozen: no gradient of it.
  void backward_of_frozen(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const {
    if (!hidden_) return out_.backward_of_frozen(context, saved.out.x, d_out);
    hidden_->backward_of_frozen(context, saved.hidden, out_.backward(context, saved.out, d_out));
  }

 private:
  std::optional<Mlp<Real>> hidden_;
  Linear<Real> out_;
};

}  // namespace sllmr
