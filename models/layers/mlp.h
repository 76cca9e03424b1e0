// The deep part of every backbone: blocks of dropout, linear, batch norm and ReLU.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/layers/batch_norm/batch_norm.h"
#include "models/layers/dropout.h"
#include "models/layers/linear.h"

namespace sllmr {

struct MlpOptions {
  /// input: Dropout - Linear - [BatchNorm] - ReLU, RecBole's order, so that the first dropout acts on the
  /// features. output: Linear - [BatchNorm] - ReLU - Dropout, DIN's.
  enum class DropoutAt { input, output };

  std::vector<int> hidden;  // sizes of the layers, at least one
  double dropout = 0;
  DropoutAt dropout_at = DropoutAt::input;
  bool batch_norm = false;
  LinearInitial initial = LinearInitial::standard;
};

/// As many blocks as there are hidden sizes; the last one, too, ends in a ReLU. Parameters of block l:
/// "<name>.<l>.weight", "<name>.<l>.bias" and, with batch norm, "<name>.<l>.norm.*".
template <class Real>
class Mlp {
 public:
  struct Saved {
    typename Dropout<Real>::Saved dropped;  // the first block's, where dropout acts on inputs
    std::vector<Tensor<Real>> x;            // inputs of the products, then the result
    std::vector<typename BatchNorm<Real>::Saved> norms;
    std::vector<Real> scales;  // of the dropout after each ReLU
  };

  /// Throws Error for no layers, a size below 1, and a dropout outside [0, 1).
  Mlp(Parameters<Real>& parameters, const std::string& name, std::int64_t in, const MlpOptions& options);

  std::int64_t out() const { return blocks_.back().linear.out(); }

  /// [rows x out()]. `saved` may be null.
  Tensor<Real> forward(const Context& context, const Tensor<Real>& x, const Pass& pass, Saved* saved) const;
  /// Gradients of the parameters; returns that of x.
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;
  /// The same where x is frozen: no gradient of it, whose product is the largest of all where x is wide.
  void backward_of_frozen(const Context& context, const Saved& saved, const Tensor<Real>& d_out) const;

  /// For ranking, where rows are sums of a user's part and an item's: what the first ReLU gets of the rows x,
  /// [rows x hidden[0]] without the biases,
  Tensor<Real> first_sums(const Context& context, const Tensor<Real>& x) const;
  /// the same with the biases, which belong to one of the parts,
  Tensor<Real> first_sums_and_biases(const Context& context, const Tensor<Real>& x) const;
  /// and forward, without training, for the rows user + items from what these gave for user [1 x hidden[0]]
  /// and items [rows x hidden[0]].
  Tensor<Real> forward_sums(const Context& context, const Tensor<Real>& user,
                            const Tensor<Real>& items) const;

 private:
  struct Block {
    Dropout<Real> dropout;
    Linear<Real> linear;
    std::optional<BatchNorm<Real>> norm;
  };
  /// Block l without its input's dropout: its result from `x`.
  Tensor<Real> block(const Context& context, std::size_t l, const Tensor<Real>& x, const Pass& pass,
                     Saved* saved) const;
  Tensor<Real> first_sums(const Context& context, const Tensor<Real>& x, bool with_biases) const;
  /// The gradient of the first block's input behind its dropout; none with InputGradient::none.
  Tensor<Real> backward(const Context& context, const Saved& saved, const Tensor<Real>& d_out,
                        InputGradient mode) const;
  /// The dropout that follows block l's ReLU, with DropoutAt::input the next block's.
  DropoutMask<Real> mask_after(std::size_t l, const Pass& pass) const;

  MlpOptions::DropoutAt dropout_at_;
  std::vector<Block> blocks_;
};

extern template class Mlp<float>;
extern template class Mlp<double>;

}  // namespace sllmr
