// KAR's hybrid-expert adaptor (Xi et al., RecSys 2024), in the form of LLM-CF's comparison.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/extra/extra_vector.h"
#include "models/layers/expert_mix/kernels.h"
#include "models/layers/frozen_vectors/frozen_vectors.h"
#include "models/layers/mlp.h"

namespace sllmr {

struct ExpertAdaptorOptions {
  ItemVectors vectors;
  UserVectors users = {};           // or none
  std::vector<int> hidden = {128};  // of every expert, below its output
  int shared = 2;                   // experts of both towers
  int own = 3;                      // experts of each tower alone
  double dropout = 0.1;             // behind every ReLU
};

/// Throws Error for no experts or more than Experts::kMax in a tower.
void require_experts(const ExpertAdaptorOptions& options);

/// z = [z_1, z_2]; tower 1 reads x_1, the mean of the frozen vectors of the row's history or, where there are
/// vectors of users and the history is long enough for the row's, that, tower 2 x_2, the item's. z_k = the
/// sum of E(x_k) over the shared experts and the tower's own, with the weights softmax(W_k x_k + b_k) in that
/// order. An expert is blocks of Linear - ReLU - Dropout; a shared one has the same weights in both towers,
/// not the same input. Each z_k is half as wide as a field's vector where z is a field, and as wide where it
/// is joined. Parameters "kar.shared.<j>.*", "kar.user.<j>.*", "kar.item.<j>.*", "kar.user_gate.*" and
/// "kar.item_gate.*".
template <class Real>
class ExpertAdaptor final : public ExtraVector<Real> {
 public:
  using BaseSaved = typename ExtraVector<Real>::Saved;

  /// Throws Error as require_experts(), for a field of an odd width, and where users and items have vectors
  /// of two widths.
  ExpertAdaptor(const Context& context, Parameters<Real>& parameters, int width, const ExtraSeat& seat,
                const ExpertAdaptorOptions& options);

  int width() const override { return kTowers * tower_width_; }
  void forward(const Context& context, const FeatureBatch& batch, const Pass& pass,
               const Tensor<Real>& fields, const Tensor<Real>& out,
               std::unique_ptr<BaseSaved>* saved) const override;
  void backward(const Context& context, const BaseSaved& saved, const Tensor<Real>& d_out,
                const Tensor<Real>& d_fields) const override;
  void of_side(const Context& context, const FeatureBatch& batch, Side side,
               const Tensor<Real>& out) const override;

 private:
  static constexpr int kTowers = 2;  // the user's and the item's

  /// What forward keeps of one tower.
  struct SavedTower {
    std::vector<typename Mlp<Real>::Saved> own;
    std::vector<Tensor<Real>> given;  // by the experts, shared ones first
    Tensor<Real> gate;
  };
  struct Saved final : BaseSaved {
    Tensor<Real> x;  // [2 * rows x E], a tower's rows after the other's
    std::vector<typename Mlp<Real>::Saved> shared;
    SavedTower tower[kTowers];
  };
  struct Tower {
    std::vector<Mlp<Real>> experts;
    std::unique_ptr<Linear<Real>> gate;
  };

  std::int64_t experts() const { return static_cast<std::int64_t>(shared_.size()) + own_; }
  /// x_1 of the rows.
  void of_users(const Context& context, const FeatureBatch& batch, const Tensor<Real>& x) const;
  /// The shared experts' results of x, one after another.
  std::vector<Tensor<Real>> of_shared(const Context& context, const Tensor<Real>& x, const Pass& pass,
                                      Saved* saved) const;
  /// z of one tower to `out`, from its x and what the shared experts gave of it.
  void mix(const Context& context, int tower, const Tensor<Real>& x, std::vector<Tensor<Real>> given,
           const Pass& pass, const Tensor<Real>& out, SavedTower* saved) const;

  FrozenVectors<Real> vectors_;
  std::optional<FrozenUserVectors<Real>> users_;
  int tower_width_, own_;
  std::vector<Mlp<Real>> shared_;
  Tower tower_[kTowers];
};

/// Throws Error as require_experts().
std::shared_ptr<const ExtraVectorMaker> expert_adaptor(const ExpertAdaptorOptions& options);

}  // namespace sllmr
