#include "models/user_cosines.h"

#include <algorithm>

#include "kernels/dense/combine.h"

namespace sllmr {

namespace {

/// The gradients on the user's vectors of all rows, of all tables one beside the other: [rows x widths].
Tensor<float> user_gradients(const Context& context, Backbone<float>& backbone, const FeatureBatch& batch) {
  Tensor<float> all;
  for (const Embedding<float>* embedding : backbone.embeddings()) {
    if (embedding->table(Vocabulary::user) == nullptr) continue;
    const Tensor<float>& own = embedding->gradient(Field::user);
    require(own.rows() == batch.rows,
            "user_cosines: the backbone hands over no gradient of the user's field, row by row");
    if (all.size() == 0) {
      all = own;
      continue;
    }
    const Tensor<float> both(context, batch.rows, all.cols() + own.cols());
    run(context, Concatenate<float>{.left = all, .right = own, .out = both});
    all = both;
  }
  return all;
}

}  // namespace

void require_user_rows(Backbone<float>& backbone) {
  Id rows = 0;
  for (const Embedding<float>* embedding : backbone.embeddings()) {
    if (const auto* users = embedding->table(Vocabulary::user)) rows = std::max(rows, users->rows);
  }
  require(rows != 1,
          "the gate objective 'alignment' compares gradients on a user's row, and with "
          "model.user_id=false there is none: leave it at true, or choose another method");
  require(rows > 1,
          "the gate objective 'alignment' compares gradients on a user's row, and this backbone has no "
          "table of users: choose another method");
}

Tensor<float> user_cosines(const Context& context, Backbone<float>& backbone, const FeatureBatch& batch,
                           const Backbone<float>::Saved& saved, const LossHead& args) {
  const Tensor<float> d_base(context, batch.rows, 1), d_hinge(context, batch.rows, 1);
  LossHead split = args;
  split.d_logits = d_base.data();
  run(context, SplitGradients{.head = split, .d_hinge = d_hinge.data()});
  backbone.backward(context, batch, saved, d_base);
  const Tensor<float> base = user_gradients(context, backbone, batch);
  backbone.backward(context, batch, saved, d_hinge);
  Tensor<float> cosines(context, args.n_pairs, 1);
  run(context, PairCosines{.head = args,
                           .base = base,
                           .hinge = user_gradients(context, backbone, batch),
                           .cosines = cosines.data()});
  return cosines;
}

}  // namespace sllmr
