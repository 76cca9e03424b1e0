// What a backbone looks up for a row's user and item, as a loss sees it that acts on vectors, not on logits.
#pragma once

#include "kernels/dense/combine.h"
#include "kernels/exec/tensor.h"

namespace sllmr {

/// Of each row of a batch the user's vector and the item's, or the gradients by them, [rows x width] each,
/// possibly slices of columns. A side may be missing: then it is without elements.
template <class Real>
struct RowVectors {
  Tensor<Real> users, items;
};

/// Of x [rows x ...], where the user's vector of `width` numbers comes first and the item's second.
template <class Real>
RowVectors<Real> user_then_item(const Tensor<Real>& x, std::int64_t width) {
  return {x.columns(0, width), x.columns(width, width)};
}

/// to += more, on the sides that `more` has.
template <class Real>
void add_to(const Context& context, const RowVectors<Real>& more, const RowVectors<Real>& to) {
  if (more.users.size() != 0) run(context, AddTo<Real>{.x = more.users, .to = to.users});
  if (more.items.size() != 0) run(context, AddTo<Real>{.x = more.items, .to = to.items});
}

}  // namespace sllmr
