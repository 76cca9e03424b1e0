// Items that an encoder of their texts holds alike are to have vectors of one direction: beside the base loss
// stands similar.weight times the mean over the batch's positives i of alpha(i, j) (1 - cos(v_i, v_j)), v the
// backbone's vectors of items and j one of the text's nearest neighbours of i, which take turns. That joins
// the batch as one more row for each positive, the positive's but for the item. alpha is the mean of how open
// the gate is for i and for j. It reads no score: what is selected is where texts are to be believed.
#include <fmt/format.h>

#include "host/guidance/guidance.h"
#include "host/guidance/text_agreement.h"
#include "host/text/nearest_items.h"
#include "kernels/cosine_loss.h"

namespace sllmr {
namespace {

constexpr const char *kWeight = "similar.weight", *kNeighbours = "similar.neighbours",
                     *kGate = "similar.gate";

/// By item: how open the gate is.
std::vector<float> openness(const GuidanceSetup& setup, std::span<const Id> nearest, std::size_t k) {
  const auto& gate = setup.config.part<std::string>(kGate);
  if (gate == "agreement") return text_agreement(setup.split, nearest, k);
  if (gate == "tail") return {setup.split.tail.begin(), setup.split.tail.end()};
  return std::vector<float>(static_cast<std::size_t>(setup.split.data->items.rows()), 1.0F);
}

/// Throws Error for as many as there are items: an item is no neighbour of itself.
std::size_t neighbours_of(const GuidanceSetup& setup) {
  const auto k = setup.config.part<std::int64_t>(kNeighbours),
             items = std::int64_t{setup.split.data->items.count()};
  require(k < items,
          fmt::format("{}={}, but an item has only {} others: lower it", kNeighbours, k, items - 1));
  return static_cast<std::size_t>(k);
}

class Similar final : public Guidance {
 public:
  explicit Similar(const GuidanceSetup& setup)
      : Guidance(setup),
        neighbours_(neighbours_of(setup)),
        nearest_(nearest_items(setup.context, *setup.vectors, static_cast<int>(neighbours_))),
        open_(openness(setup, nearest_, neighbours_)),
        pairs_(setup.context, static_cast<std::size_t>(setup.batch)) {}

  std::int64_t most_rows() const override { return 2 * setup_.batch; }
  std::unique_ptr<BatchPlan::Own> make_own() const override { return std::make_unique<Pairs>(); }

  void plan(BatchPlan& plan) override {
    std::vector<AlikeRows>& pairs = static_cast<Pairs&>(*plan.own).pairs;
    pairs.clear();
    for (std::int64_t k = 0; k < plan.count; ++k) {
      if (plan.targets[static_cast<std::size_t>(k)] != 1.0F) continue;
      FeatureRow row = plan.rows[static_cast<std::size_t>(k)];
      const auto item = static_cast<std::size_t>(row.item);
      // Neighbours take turns; the rows of an epoch come in random order.
      const auto turn = static_cast<std::size_t>(epoch_ + plan.first + std::ssize(pairs)) % neighbours_;
      row.item = nearest_[item * neighbours_ + turn];
      const float alpha = 0.5F * (open_[item] + open_[static_cast<std::size_t>(row.item)]);
      pairs.push_back({static_cast<std::int32_t>(k), static_cast<std::int32_t>(plan.rows.size()), alpha});
      plan.rows.push_back(row);
    }
  }

  void upload(const BatchPlan& plan) override {
    const std::vector<AlikeRows>& pairs = static_cast<const Pairs&>(*plan.own).pairs;
    copy_to_device(setup_.context, pairs_.data(), pairs.data(), pairs.size() * sizeof(AlikeRows));
  }

  void loss(const StepView& step) override {
    Guidance::loss(step);
    const std::int64_t n = std::ssize(static_cast<const Pairs&>(*step.plan.own).pairs);
    if (n == 0) return;
    fill_zero(setup_.context, step.head.d_logits + step.head.rows,
              static_cast<std::size_t>(n) * sizeof(float));
    const Tensor<float> v = step.backbone.vectors(step.saved).items;
    step.d_vectors.items = Tensor<float>::zeros(setup_.context, v.rows(), v.cols());
    run(setup_.context,
        CosineLoss{.v = v,
                   .pairs = pairs_.data(),
                   .n = n,
                   .scale = static_cast<float>(setup_.config.part<double>(kWeight) / static_cast<double>(n)),
                   .gate = gate(),
                   .d_v = step.d_vectors.items});
  }

 protected:
  void start_chunk(const Chunk& chunk) override { epoch_ = chunk.epoch; }

  nlohmann::json telemetry(const std::vector<double>& totals) override {
    const double pairs = totals[GateColumns::pairs];
    const auto mean = [&](int column) {
      return pairs > 0 ? nlohmann::json(totals[static_cast<std::size_t>(column)] / pairs) : nlohmann::json();
    };
    nlohmann::json out = {{"pairs", pairs},
                          {"loss", mean(GateColumns::pair_hinge)},
                          {"mean_alpha", mean(GateColumns::pair_alpha)},
                          {"cosine", mean(GateColumns::pair_weight)}};
    if (pairs > 0) require_converged(out["loss"]);
    return out;
  }

 private:
  struct Pairs : BatchPlan::Own {
    std::vector<AlikeRows> pairs;
  };

  std::size_t neighbours_;
  std::vector<Id> nearest_;  // [items + 1 x neighbours]
  std::vector<float> open_;  // by item
  Buffer<AlikeRows> pairs_;  // of the step
  std::uint32_t epoch_ = 0;
};

}  // namespace

GuidanceInfo similar_guidance() {
  return {.name = "similar",
          .summary = "items whose texts are alike pull each other's vectors into one direction, gated",
          .words = {"similar"},
          .reads = [](const Config&) { return GuidanceReads{.scores = false, .vectors = true}; },
          .keys = {{kWeight, 0.1, "weight of 1 - cosine beside the base loss"},
                   {kNeighbours, std::int64_t{10}, "items nearest by text that take turns", {}, 1, 1000},
                   {kGate,
                    std::string("none"),
                    "for which items it is open: none (all), tail, or as far as co-occurrence agrees",
                    {"none", "tail", "agreement"}}},
          .in_micro_batches = false,
          .make = [](const GuidanceSetup& setup) -> std::unique_ptr<Guidance> {
            // A weight of 0 brings no rows either: they would change a batch norm's statistics.
            if (setup.config.part<double>(kWeight) == 0) return std::make_unique<Guidance>(setup);
            return std::make_unique<Similar>(setup);
          },
          .columns = {{"similarity loss", "/loss"},
                      {"cosine", "/cosine"},
                      {"mean alpha", "/mean_alpha"},
                      {"pairs", "/pairs", false}}};
}

}  // namespace sllmr
