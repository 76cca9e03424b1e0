// Knowledge distillation of yes/no probabilities (as in LLM-CF's release): binary cross-entropy with the
// labels, and `kd.weight` times that with the teacher's t, the mean over all rows of the batch. As the loss
// is linear in its target, that is one loss with weight 1 + w and target (y + w t) / (1 + w). The teacher is
// a table of an LLM's scores, or the items' text vectors (host/guidance/text_teacher.h).
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>

#include "host/guidance/guidance.h"
#include "host/guidance/judged.h"
#include "host/guidance/text_teacher.h"
#include "kernels/exec/math.h"

namespace sllmr {
namespace {

constexpr const char *kWeight = "kd.weight", *kTeacher = "kd.teacher", *kTemperature = "kd.temperature",
                     *kScale = "kd.teacher_scale", *kMissing = "kd.missing";

bool reads_texts(const Config& config) {
  return config.part<std::string>(kTeacher) == "vectors";
}

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
        weight_(static_cast<float>(setup.config.part<double>(kWeight))),
        half_(setup.config.part<std::string>(kMissing) == "half") {
    if (reads_texts(setup.config)) {
      const auto texts = std::make_shared<const TextTeacher>(setup.vectors, setup.split, setup.config.seed,
                                                             setup.config.data.max_history,
                                                             setup.config.part<double>(kTemperature));
      for (const float t : texts->of_training_rows()) widen_range(t);
      fits_ = texts->fits();
      teacher_ = [texts](const FeatureRow& row) { return (*texts)(row); };
      return;
    }
    const auto of_score = [&](float s) { return teacher(setup.config, static_cast<double>(s)); };
    for (const float score : setup.table->scores) widen_range(of_score(score));
    const auto judged = std::make_shared<const Judged>(*setup.table, of_score);
    teacher_ = [judged](const FeatureRow& row) { return judged->score(row.user, row.item); };
  }

  void plan(BatchPlan& plan) override {
    plan.weights.assign(plan.targets.size(), 1.0F);
    for (std::size_t k = 0; k < plan.targets.size(); ++k) {
      float t = teacher_(plan.rows[k]);
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
            {"teacher", {{"lowest", lowest_}, {"highest", highest_}}},
            {"fit", {{"even_users", told(0)}, {"odd_users", told(1)}}}};
  }

 private:
  static constexpr int kJudged = GateColumns::pairs;  // training rows with a score

  void widen_range(float t) {
    lowest_ = std::fmin(lowest_, t);  // without NaN
    highest_ = std::fmax(highest_, t);
  }
  nlohmann::json told(std::size_t half) const {
    if (!fits_) return {{"slope", nullptr}, {"intercept", nullptr}};
    return {{"slope", (*fits_)[half].slope}, {"intercept", (*fits_)[half].intercept}};
  }

  std::function<float(const FeatureRow&)> teacher_;  // t of a row, NaN where there is none
  std::optional<std::array<LogisticFit, 2>> fits_;   // of a teacher that reads texts
  float weight_;
  bool half_;
  float lowest_ = 1, highest_ = 0;  // t of the table, or of the training rows
};

std::string unused_own(const Config& config, std::string_view key) {
  if (!reads_texts(config)) return {};
  if (key == kScale) return "t of kd.teacher=vectors is a probability; see kd.teacher=scores";
  if (key == kMissing) return "kd.teacher=vectors has a t of every training row; see kd.teacher=scores";
  return {};
}

}  // namespace

GuidanceInfo kd_guidance() {
  return {.name = "kd",
          .summary =
              "knowledge distillation: the LLM's score, or what texts make likely, as a second label of "
              "training rows",
          .words = {"kd"},
          .reads =
              [](const Config& config) {
                const bool texts = reads_texts(config);
                return GuidanceReads{.scores = !texts, .vectors = texts};
              },
          .keys = {{kWeight, 0.1, "weight of the teacher beside the labels"},
                   {kTeacher,
                    std::string("scores"),
                    "whose t: scores of an LLM, or vectors, the cosine of history and item",
                    {"scores", "vectors"}},
                   {kTemperature, 1.0, "softmax temperature of the teacher", {}, 1e-3, 1e3},
                   {kScale,
                    std::string("logits"),
                    "what the release's stored pairs are: logits, probability, double_softmax",
                    {"logits", "probability", "double_softmax"}},
                   {kMissing,
                    std::string("skip"),
                    "rows without a score: skip, or half (t = 1/2)",
                    {"skip", "half"}}},
          .unused_own = unused_own,
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
                      {"highest t", "/teacher/highest", false},
                      {"slope, even users", "/fit/even_users/slope", false},
                      {"intercept, even users", "/fit/even_users/intercept", false},
                      {"slope, odd users", "/fit/odd_users/slope", false},
                      {"intercept, odd users", "/fit/odd_users/intercept", false}}};
}

}  // namespace sllmr
