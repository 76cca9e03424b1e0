// Shape checks of layers.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/exec/tensor.h"

namespace sllmr {

/// Throws Error unless `tensor` is [rows x cols]; `what` of the layer `name` it is.
template <class Real>
void require_shape(const std::string& name, const char* what, const Tensor<Real>& tensor, std::int64_t rows,
                   std::int64_t cols) {
  if (tensor.rows() == rows && tensor.cols() == cols) return;
  throw Error("layer '" + name + "': its " + what + " is [" + std::to_string(tensor.rows()) + " x " +
              std::to_string(tensor.cols()) + "], expected [" + std::to_string(rows) + " x " +
              std::to_string(cols) + "]");
}

/// The same where any number of rows will do.
template <class Real>
void require_width(const std::string& name, const char* what, const Tensor<Real>& tensor, std::int64_t cols) {
  require_shape(name, what, tensor, tensor.rows(), cols);
}

/// Throws Error unless 1 <= layers <= most.
inline void require_layers(const std::string& name, int layers, int most) {
  if (layers >= 1 && layers <= most) return;
  throw Error("'" + name + "' has " + std::to_string(layers) + " layers; it takes 1 to " +
              std::to_string(most));
}

}  // namespace sllmr
