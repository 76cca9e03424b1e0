// The dense parameters of a backbone: one slab of values, one of gradients, and a name for each part.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/exec/matrix.h"
#include "kernels/exec/memory.h"
#include "kernels/exec/not_copied.h"
#include "models/initial.h"

namespace sllmr {

/// What backward does with the gradient of its input: replace what is there, add to it where other parts of
/// the model read the same input, or leave it out where the input is frozen. Gradients of parameters are
/// always replaced.
enum class InputGradient { replace, add, none };

/// How one forward pass runs. `step` numbers the training steps of a run: with the seed it fixes the dropout
/// masks. A pass of Monte Carlo dropout draws masks as training does, and is in all else as if it trained
/// nothing.
struct Pass {
  bool training = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  bool mc_dropout = false;

  bool drops() const { return training || mc_dropout; }
};

/// Layers add their parameters while they are constructed; allocate() then makes the slabs. Parts start on
/// 64-byte boundaries; the gaps are zero and stay so.
template <class Real>
class Parameters : NotCopied {
 public:
  /// One named part.
  struct Part {
    std::string name;                 // "mlp.0.weight"
    std::vector<std::int64_t> shape;  // weights of a linear layer: {out, in}, as PyTorch
    Initial initial;
    bool trained = true;  // false: state such as running statistics; has no gradient
    std::int64_t size = 0, offset = 0, first_draw = 0;
  };

  /// The part's index. Throws Error for a name that is taken, an extent below 1, and after allocate().
  int add(std::string name, std::vector<std::int64_t> shape, Initial initial);
  /// The same for a parameter that this model does not train; where the others start does not depend on that.
  int add_frozen(std::string name, std::vector<std::int64_t> shape, Initial initial);
  /// The same for state that is saved but not trained. It starts at a constant.
  int add_state(std::string name, std::vector<std::int64_t> shape, Initial initial);
  /// Draws depend on (seed, position among all that may be trained) alone.
  void allocate(const Context& context, std::uint64_t seed);

  const std::vector<Part>& parts() const { return parts_; }
  /// The index of a name; throws Error when there is none.
  int find(const std::string& name) const;
  Real* value(int part) const;
  /// Null for state.
  Real* gradient(int part) const;
  /// A part as a matrix: its last extent is the columns, the others' product the rows.
  Matrix<Real> matrix(int part) const { return as_matrix(part, value(part)); }
  Matrix<Real> gradient_matrix(int part) const { return as_matrix(part, gradient(part)); }
  /// The slabs of trained parameters [size()], gaps included.
  std::int64_t size() const { return size_; }
  Buffer<Real>& values() { return values_; }
  Buffer<Real>& gradients() { return gradients_; }
  Buffer<Real>& state() { return state_; }

 private:
  int add_part(Part part);
  /// The same of a part that takes its place among the draws.
  int add_drawn(Part part);
  /// Elements that a part takes in its slab.
  static std::int64_t extent_of(const Part& part);
  Matrix<Real> as_matrix(int part, Real* first) const {
    const Part& of = parts_[static_cast<std::size_t>(part)];
    return {first, of.size / of.shape.back(), of.shape.back()};
  }

  std::vector<Part> parts_;
  std::int64_t size_ = 0, state_size_ = 0, draws_ = 0;
  mutable Buffer<Real> values_, gradients_, state_;
  bool allocated_ = false;
};

extern template class Parameters<float>;
extern template class Parameters<double>;

}  // namespace sllmr
