// The paper's penalty: a margin between the two logits, as far as the pair is believed.
#pragma once

#include "kernels/gates/penalties/penalty.h"

namespace sllmr::penalties {

struct Hinge : GatePenalty {
  static constexpr std::string_view name = "hinge";
  static constexpr std::string_view summary = "w max(0, margin - (s_a - s_b)), the paper's";

  template <class Real>
  SLLMR_HD static Real loss(const Real& s_a, const Real& s_b, const GuidingPair& pair) {
    return pair.weight * max(Real(0), pair.margin - (s_a - s_b));
  }
};

}  // namespace sllmr::penalties
