// What the gate objective `alignment` asks of a backbone: do the base loss and the hinge pull a user's row
// the same way?
#pragma once

#include <memory>

#include "kernels/loss_head.h"
#include "models/backbone.h"

namespace sllmr {

/// Throws Error unless the backbone looks the user up in a table of its own, whose row these gradients are
/// of.
void require_user_rows(Backbone<float>& backbone);

/// For every pair of `args`, the cosine between two gradients on the user's row: that of the base loss
/// through the training row that drew the pair, and that of the hinges through the pair's two rows, each
/// from a backward pass of its own, so that what rows do to each other through the batch's statistics is in.
/// Result [n_pairs x 1], 0 where the hinge is 0. A user's row is that of all the backbone's tables together.
/// `args` is the loss head, `batch` and `saved` forward's; backward is to be called again for the gradients
/// proper. Throws Error where the backbone hands over no gradient of the user's field.
Tensor<float> user_cosines(const Context& context, Backbone<float>& backbone, const FeatureBatch& batch,
                           const Backbone<float>::Saved& saved, const LossHead& args);

}  // namespace sllmr
