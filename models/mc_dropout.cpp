#include "models/mc_dropout.h"

#include "kernels/dense/pass_variance.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

Pass mc_pass(const McDraws& draws, int pass) {
  const std::uint64_t number =
      (static_cast<std::uint64_t>(draws.group) << 32) | static_cast<std::uint64_t>(pass);
  const Draw draw = philox(draws.seed, draws.step, number, Purpose::mc_dropout);
  const std::uint64_t seed = (static_cast<std::uint64_t>(draw.word[0]) << 32) | draw.word[1];
  return {.seed = seed, .step = draws.step, .mc_dropout = true};
}

}  // namespace

Tensor<float> mc_dropout_variance(const Context& context, const Backbone<float>& backbone,
                                  const FeatureBatch& batch, const McDraws& draws) {
  const Tensor<float> mean(context, batch.rows, 1);
  Tensor<float> variance(context, batch.rows, 1);
  for (int pass = 0; pass < draws.passes; ++pass) {
    const Tensor<float> logits = backbone.forward(context, batch, mc_pass(draws, pass), nullptr);
    run(context,
        AddPass<float>{
            .logits = logits, .pass = pass, .passes = draws.passes, .mean = mean, .variance = variance});
  }
  return variance;
}

}  // namespace sllmr
