// LLM scores as weights of training rows: a positive that the LLM judged counts 1 + w (t - mean t of the
// user), every other row 1.
#include <cmath>

#include "host/guidance/guidance.h"
#include "host/guidance/judged.h"

namespace sllmr {
namespace {

constexpr const char* kStrength = "weights.strength";

class RowWeights final : public Guidance {
 public:
  explicit RowWeights(const GuidanceSetup& setup)
      : Guidance(setup),
        judged_(*setup.table),
        strength_(static_cast<float>(setup.config.part<double>(kStrength))),
        mean_(static_cast<std::size_t>(setup.split.data->users.rows())) {
    for (std::size_t user = 0; user < mean_.size(); ++user) {
      double sum = 0;
      const auto scores = setup.table->scores_of(static_cast<Id>(user));
      for (const float score : scores) sum += static_cast<double>(score);
      if (!scores.empty()) mean_[user] = static_cast<float>(sum / static_cast<double>(scores.size()));
    }
  }

  void plan(BatchPlan& plan) override {
    plan.weights.assign(plan.targets.size(), 1.0F);
    for (std::size_t k = 0; k < plan.targets.size(); ++k) {
      if (plan.targets[k] != 1.0F) continue;
      count(kPositives, 1);
      const Id user = plan.rows[k].user;
      const float score = judged_.score(user, plan.rows[k].item);
      if (std::isnan(score)) continue;
      plan.weights[k] = 1.0F + strength_ * (score - mean_[static_cast<std::size_t>(user)]);
      count(kJudged, 1);
      count(kWeights, static_cast<double>(plan.weights[k]));
    }
  }

 protected:
  nlohmann::json telemetry(const std::vector<double>& totals) override {
    const auto share = [&](int of, int in) {
      return totals[in] > 0 ? nlohmann::json(totals[of] / totals[in]) : nlohmann::json();
    };
    return {{"judged_positives", share(kJudged, kPositives)}, {"mean_weight", share(kWeights, kJudged)}};
  }

 private:
  // Columns of the totals: positives, those with a score, and the sum of their weights.
  static constexpr int kPositives = GateColumns::probes, kJudged = GateColumns::pairs,
                       kWeights = GateColumns::pair_alpha;

  Judged judged_;
  float strength_;
  std::vector<float> mean_;  // by user, over the scored items
};

}  // namespace

GuidanceInfo weights_guidance() {
  return {.name = "weights",
          .summary = "the LLM's score as the weight of every judged positive",
          .words = {"weights"},
          .keys = {{kStrength, 1.0, "how far a score moves a weight from 1", {}, 0, 1}},
          .make = [](const GuidanceSetup& setup) -> std::unique_ptr<Guidance> {
            return std::make_unique<RowWeights>(setup);
          },
          .columns = {{"judged positives", "/judged_positives"}, {"mean weight", "/mean_weight"}}};
}

}  // namespace sllmr
