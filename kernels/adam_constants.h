#pragma once

namespace sllmr {

/// Those of PyTorch.
struct AdamConstants {
  static constexpr double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};

}  // namespace sllmr
