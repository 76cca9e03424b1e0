// Losses of methods of guidance against PyTorch's autograd in float64 (tools/golden/make_guidance_golden.py).
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "kernels/pointwise_loss.h"
#include "tests/support/compare.h"
#include "tests/support/gates.h"

namespace sllmr {
namespace {

nlohmann::json fixture() {
  std::ifstream in(SLLMR_SOURCE_DIR "/tests/kernels/golden/guidance.json");
  return nlohmann::json::parse(in);
}

struct GoldenOutcome {
  double loss;
  std::vector<float> gradient;
};

/// The base loss of all rows, soft and weighted.
GoldenOutcome base_loss(const Context& context, const nlohmann::json& golden, BaseLoss loss,
                        const std::vector<float>& soft, const std::vector<float>& row_weights) {
  const std::vector<float> values = golden["logits"];
  const std::int64_t rows = golden["rows"];
  const Buffer<float> logits(context, std::span<const float>(values)),
      targets(context, std::span<const float>(soft)), weights(context, std::span<const float>(row_weights));
  Buffer<float> d_logits(context, values.size()),
      slots(context, static_cast<std::size_t>(rows) * GateColumns::stride);
  d_logits.zero(context);
  LossHead args;
  args.logits = logits.data();
  args.targets = targets.data();
  args.weights = weights.data();
  args.rows = rows;
  args.loss = loss;
  args.gate.slots = slots.data();
  args.gate.n_slots = static_cast<int>(rows);
  args.d_logits = d_logits.data();
  run(context, args);
  double sum = 0;
  const std::vector<float> sums = slots.to_host(context);
  for (std::size_t k = GateColumns::loss; k < sums.size(); k += GateColumns::stride) {
    sum += static_cast<double>(sums[k]);
  }
  return {sum / static_cast<double>(rows), d_logits.to_host(context)};
}

GoldenOutcome pointwise(const Context& context, const nlohmann::json& golden, PointwiseLoss loss) {
  const std::vector<float> values = golden["logits"], targets_of = golden["targets"];
  const std::int32_t rows = golden["rows"];
  const auto n_pairs = static_cast<std::int32_t>(targets_of.size() / 2);
  std::vector<HeadPair> heads;
  for (std::int32_t k = 0; k < n_pairs; ++k)
    heads.push_back({{1, 1, 0, 0}, 1, rows + 2 * k, rows + 2 * k + 1, 0});
  const Buffer<float> logits(context, std::span<const float>(values)),
      targets(context, std::span<const float>(targets_of));
  const Buffer<HeadPair> pairs(context, std::span<const HeadPair>(heads));
  const Buffer<UserSignals> users(context, 2);
  const Buffer<ItemSignals> items(context, 2);
  Buffer<float> d_logits(context, values.size()), slots(context, heads.size() * GateColumns::stride);
  d_logits.zero(context);
  PointwiseHead args{.logits = logits.data(),
                     .pairs = pairs.data(),
                     .n_pairs = n_pairs,
                     .targets = targets.data(),
                     .loss = loss,
                     .weight = golden["weight"],
                     .gate = {},
                     .d_logits = d_logits.data()};
  args.gate.rule = rule_id("always");
  args.gate.users = users.data();
  args.gate.items = items.data();
  args.gate.slots = slots.data();
  args.gate.n_slots = n_pairs;
  run(context, args);
  double sum = 0;
  const std::vector<float> sums = slots.to_host(context);
  for (std::size_t k = GateColumns::pair_hinge; k < sums.size(); k += GateColumns::stride) {
    sum += static_cast<double>(sums[k]);
  }
  return {golden["weight"].get<double>() * sum / n_pairs, d_logits.to_host(context)};
}

void expect_guidance_golden(const Context& context) {
  const nlohmann::json golden = fixture();
  const std::vector<float> labels = golden["labels"], teacher = golden["teacher"];
  const float w = golden["kd_weight"];
  std::vector<float> soft(labels.size());
  for (std::size_t k = 0; k < soft.size(); ++k) soft[k] = (labels[k] + w * teacher[k]) / (1 + w);
  const std::vector<float> kd_weights(labels.size(), 1 + w);
  const auto check = [&](const char* name, const GoldenOutcome& out) {
    const nlohmann::json& expected = golden["cases"][name];
    EXPECT_TRUE(near(out.loss, expected["loss"], {1e-6, 1e-6})) << name;
    EXPECT_LT(norm_error(out.gradient, expected["gradient"].get<std::vector<double>>()), 1e-5) << name;
  };
  for (const BaseLoss loss : {BaseLoss::bce, BaseLoss::clamped_bce}) {
    check("kd", base_loss(context, golden, loss, soft, kd_weights));
    check("weights", base_loss(context, golden, loss, labels, golden["weights"]));
  }
  check("mse", pointwise(context, golden, PointwiseLoss::mse));
  check("bce", pointwise(context, golden, PointwiseLoss::bce));
  check("logit", pointwise(context, golden, PointwiseLoss::logit));
}

TEST(GuidanceGolden, LossesArePyTorchs) {
  expect_guidance_golden(Context(Device::cpu, 1));
}

TEST(GuidanceGoldenCuda, LossesArePyTorchs) {
  if (!cuda_available()) GTEST_SKIP() << "no CUDA device";
  expect_guidance_golden(Context(Device::cuda));
}

}  // namespace
}  // namespace sllmr
