#include "models/layers/expert_mix/kernels.h"

#include "kernels/dense/softmax.h"
#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes, const MixOfExperts<Real>& args, std::int64_t row) {
  const int n = args.experts.n, width = static_cast<int>(args.out.cols);
  Real* gate = args.gate.row(row);
  softmax(gate, n);
  Real* out = args.out.row(row);
  for (int d = 0; d < width; ++d) out[d] = 0;
  for (int e = 0; e < n; ++e) {
    const Real* from = args.experts.of[e].row(row);
    SLLMR_ROW_LOOP
    for (int d = 0; d < width; ++d) out[d] += gate[e] * from[d];
  }
}

/// With d_g the gradient of the softmax g, that of its logits is g_e (d_g_e - sum over j of g_j d_g_j).
template <class Real, class Lanes>
SLLMR_INLINE void run_item(Lanes, const MixOfExpertsBackward<Real>& args, std::int64_t row) {
  const int n = args.experts.n, width = static_cast<int>(args.d_out.cols);
  const Real* gate = args.gate.row(row);
  const Real* d_out = args.d_out.row(row);
  Real* d_gate = args.d_gate.row(row);
  Real mean = 0;
  for (int e = 0; e < n; ++e) {
    const Real* expert = args.experts.of[e].row(row);
    Real* d_expert = args.d_experts.of[e].row(row);
    Real product = 0;
    for (int d = 0; d < width; ++d) {
      product += expert[d] * d_out[d];
      d_expert[d] = gate[e] * d_out[d];
    }
    d_gate[e] = product;
    mean += gate[e] * product;
  }
  for (int e = 0; e < n; ++e) d_gate[e] = gate[e] * (d_gate[e] - mean);
}

}  // namespace

SLLMR_EACH_ITEM_KERNELS(MixOfExperts, "mix_of_experts", args.out.rows)
SLLMR_EACH_ITEM_KERNELS(MixOfExpertsBackward, "mix_of_experts_backward", args.d_out.rows)

}  // namespace sllmr
