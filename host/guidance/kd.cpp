// Knowledge distillation of yes/no probabilities (as in LLM-CF's release): binary cross-entropy with the
// labels, and `kd.weight` times that with the teacher's t, the mean over all rows of the batch. As the loss
// is linear in its target, that is one loss with weight 1 + w and target (y + w t) / (1 + w).
#include <algorithm>
#include <cmath>

#include "host/guidance/guidance.h"
#include "host/guidance/judged.h"
#include "kernels/exec/math.h"

namespace sllmr {
namespace {

constexpr const char *kWeight = "kd.weight", *kTemperature = "kd.temperature", *kScale = "kd.teacher_scale",
                     *kMissing = "kd.missing";

/// t of a score s, what the LLM gives "yes". The release leaves open what its stored pairs are: logits, whose
/// softmax s is; probabilities (s, 1 - s), taken for logits; or those after a softmax too many.
float teacher(const Config& config, double s) {
  const auto& scale = config.part<std::string>(kScale);
  const double temperature = config.part<double>(kTemperature);
  const auto softmax = [](double yes, double no, double divisor) { return sigmoid_of((yes - no) / divisor); };
  if (scale == "probability") return static_cast<float>(softmax(s, 1 - s, temperature));
  if (scale == "double_softmax") {
    const double yes = softmax(s, 1 - s, 1);
    return static_cast<float>(softmax(yes, 1 - yes, temperature));
  }
  if (temperature == 1 || s == 0 || s == 1) return static_cast<float>(s);
  return static_cast<float>(softmax(std::log(s), std::log(1 - s), temperature));
}

class Distillation final : public Guidance {
 public:
  explicit Distillation(const GuidanceSetup& setup)
      : Guidance(setup),
        teacher_(*setup.table, [&](float s) { return teacher(setup.config, static_cast<double>(s)); }),
        weight_(static_cast<float>(setup.config.part<double>(kWeight))),
        half_(setup.config.part<std::string>(kMissing) == "half") {
    for (const float score : setup.table->scores) {
      const float t = teacher(setup.config, static_cast<double>(score));
      lowest_ = std::min(lowest_, t);
      highest_ = std::max(highest_, t);
    }
  }

  void plan(BatchPlan& plan) override {
    plan.weights.assign(plan.targets.size(), 1.0F);
    for (std::size_t k = 0; k < plan.targets.size(); ++k) {
      float t = teacher_.score(plan.rows[k].user, plan.rows[k].item);
      if (!std::isnan(t)) {
        count(kJudged, 1);
      } else if (half_) {
        t = 0.5F;
      } else {
        continue;
      }
      plan.weights[k] = 1.0F + weight_;
      plan.targets[k] = (plan.targets[k] + weight_ * t) / (1.0F + weight_);
    }
  }

 protected:
  nlohmann::json telemetry(const std::vector<double>& totals) override {
    const double rows = totals[GateColumns::rows];
    return {{"judged_rows", rows > 0 ? nlohmann::json(totals[kJudged] / rows) : nlohmann::json()},
            {"teacher", {{"lowest", lowest_}, {"highest", highest_}}}};
  }

 private:
  static constexpr int kJudged = GateColumns::pairs;  // training rows with a score

  Judged teacher_;
  float weight_;
  bool half_;
  float lowest_ = 1, highest_ = 0;  // of the teacher, over the table
};

}  // namespace

GuidanceInfo kd_guidance() {
  return {.name = "kd",
          .summary = "knowledge distillation: the LLM's score as a second label of every judged training row",
          .words = {"kd"},
          .keys = {{kWeight, 0.1, "weight of the teacher beside the labels"},
                   {kTemperature, 1.0, "softmax temperature of the teacher", {}, 1e-3, 1e3},
                   {kScale,
                    std::string("logits"),
                    "what the release's stored pairs are: logits, probability, double_softmax",
                    {"logits", "probability", "double_softmax"}},
                   {kMissing,
                    std::string("skip"),
                    "rows without a score: skip, or half (t = 1/2)",
                    {"skip", "half"}}},
          .check =
              [](const Config& config) {
                require(config.train.loss != BaseLoss::bpr,
                        "method=kd softens labels, which train.loss=bpr has none of: use train.loss=bce or "
                        "clamped_bce");
              },
          .make = [](const GuidanceSetup& setup) -> std::unique_ptr<Guidance> {
            return std::make_unique<Distillation>(setup);
          },
          .columns = {{"judged rows", "/judged_rows"},
                      {"lowest t", "/teacher/lowest", false},
                      {"highest t", "/teacher/highest", false}}};
}

}  // namespace sllmr
