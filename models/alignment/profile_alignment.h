// RLMRec's contrastive alignment (Ren et al., WWW 2024; formulas as in its release): vectors of users and
// items against profiles that an encoder made of texts.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/exec/not_copied.h"
#include "kernels/gates/gate_args.h"
#include "models/layers/linear.h"
#include "models/layers/parameters.h"
#include "models/row_vectors.h"

namespace sllmr {

struct ProfileAlignmentOptions {
  std::int64_t profile_width = 0;       // E
  std::span<const float> users, items;  // [rows x E], without a row of padding; copied
  std::int64_t width = 0;               // w, of the backbone's vectors
  std::int64_t batch = 0;               // most rows
  bool all_users = true;                // in the users' denominators, else those of the batch's positives
  double weight = 0.01, temperature = 0.2;
  std::uint64_t seed = 1;
};

/// A batch's rows, positives before negatives; on the device.
struct AlignedRows {
  std::int64_t positives = 0, negatives = 0;
  const Id* order = nullptr;  // [positives + negatives]: rows of the batch
  const Id* place = nullptr;  // [positives + negatives]: by row, where it stands in `order`
  const Id* items = nullptr;  // [positives + negatives]: of `order`, counted from 0
  const Id* users = nullptr;  // [positives]: the same
};

/// q = W_2 leaky_relu(W_1 e + b_1) + b_2 of a profile e, from E to (E + w) / 2 to w numbers, with the slope
/// .01 and weights that start xavier-uniform. The loss is weight times the sum of three means of InfoNCE(a,
/// q_a) = -cos(a, q_a) / tau + log sum_q exp(cos(a, q) / tau): over the positives' users with all users' q
/// (or the positives'), over the positives' items with theirs, and over the negatives' items with theirs,
/// each as often as it stands in the batch. For rows in pairs of a positive and its negative these are
/// RLMRec's sums over its triples by their number; of rows that come in no pairs each kind has a mean of its
/// own.
class ProfileAlignment : NotCopied {
 public:
  ProfileAlignment(const Context& context, const ProfileAlignmentOptions& options);

  Parameters<float>& parameters() { return parameters_; }
  const Parameters<float>& parameters() const { return parameters_; }
  /// Gradients by `vectors` [rows x w], and, replaced, those of the parameters. Row k of each kind in `order`
  /// adds its loss and its cosine(a, q_a) to slot k, in the columns below.
  RowVectors<float> gradients(const Context& context, const AlignedRows& rows,
                              const RowVectors<float>& vectors, const GateArgs& gate) const;

  struct Columns {
    int loss, cosine;
  };
  static const Columns kUsers, kPositives, kNegatives;

 private:
  struct Contrast {
    Tensor<float> anchors, d_anchors;  // [n x w], in unit length, and the gradients
    Tensor<float> candidates, d_candidates;
    const Id* own;  // [n]: an anchor's candidate; null: that of its number
    Columns columns;
  };

  /// The step's profiles, users' first.
  Tensor<float> profiles(const Context& context, const AlignedRows& rows) const;
  void contrast(const Context& context, const Contrast& of, const GateArgs& gate) const;

  std::int64_t batch_, all_users_;  // all_users_: how many, or 0 where the batch's are taken
  float weight_, temperature_;
  Parameters<float> parameters_;
  Linear<float> first_, second_;
  Tensor<float> user_profiles_, item_profiles_;
  Tensor<float> x_;  // profiles of a step
};

}  // namespace sllmr
