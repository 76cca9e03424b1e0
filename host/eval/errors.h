// The error both protocols end in when training has diverged.
#pragma once

#include "kernels/exec/error.h"

namespace sllmr {

/// Throws Error unless `finite`.
inline void require_finite(bool finite) {
  require(
      finite,
      "the model's scores are not finite: training diverged; lower train.lr (or raise train.l2) and start "
      "again");
}

}  // namespace sllmr
