// The pointwise ablation: the judged rows that S-LLMR pairs up, each with the LLM's score as its target, and
// on demand the same gate. Its loss is llm.lambda times the mean over the judged rows of a batch (that of
// `gated` is divided by the training rows).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "host/guidance/gate_telemetry.h"
#include "host/guidance/gated.h"
#include "host/guidance/judged.h"
#include "host/guidance/logistic_fit.h"
#include "kernels/exec/math.h"
#include "kernels/logit_loss.h"
#include "kernels/pointwise_loss.h"

namespace sllmr {
namespace {

constexpr const char *kLoss = "pointwise.loss", *kCalibrate = "pointwise.calibrate",
                     *kGated = "pointwise.gated";

/// t -> sigmoid(a logit(t) + b).
struct Calibration {
  LogisticFit fit;

  static double log_odds(float t) { return static_cast<double>(log_odds_of(t)); }
  float operator()(float t) const { return static_cast<float>(sigmoid_of(fit.logit(log_odds(t)))); }
};

/// Platt scaling (Platt 1999): logistic regression of what users did on the LLM's log-odds. Every user's
/// probe, a training item, is a positive of weight 1; the other candidates are negatives that share a weight
/// of 1, as every positive has one negative in training.
Calibration platt(const ScoreTable& table) {
  std::vector<LogisticExample> examples;
  for (std::size_t user = 1; user < table.probe.size(); ++user) {
    const auto scores = table.scores_of(static_cast<Id>(user));
    const auto probe = table.compared_probe(static_cast<Id>(user));
    if (!probe) continue;
    for (std::size_t k = 0; k < scores.size(); ++k) {
      const bool positive = k == *probe;
      const double x = Calibration::log_odds(scores[k]);
      examples.push_back({x, positive ? 1 : 1 / static_cast<double>(scores.size() - 1), positive});
    }
  }
  require(!examples.empty(),
          "pointwise.calibrate=platt learns from probes, and the table has none: use "
          "pointwise.calibrate=none, or score again");
  return {fit_logistic(examples)};
}

bool is_calibrated(const Config& config) {
  return config.part<std::string>(kCalibrate) == "platt";
}

PointwiseLoss loss_of(const Config& config) {
  const auto& name = config.part<std::string>(kLoss);
  return name == "mse" ? PointwiseLoss::mse : name == "bce" ? PointwiseLoss::bce : PointwiseLoss::logit;
}

GateSpec spec_of(const Config& config) {
  const GatePart* hinge = find_gate_part(gate_objectives(), "hinge");  // nothing reads it: see below
  if (!config.part<bool>(kGated)) {
    return {.rule = find_gate_part(gate_rules(), "always"),
            .objective = hinge,
            .penalty = gate_penalties().data()};
  }
  GateSpec spec = gate_spec(config);
  if (spec.rule->n_params == 0) spec.objective = hinge;
  spec.least_side = false;
  return spec;
}

class Pointwise final : public Gated {
 public:
  explicit Pointwise(const GuidanceSetup& setup)
      : Gated(setup, spec_of(setup.config)),
        calibration_(is_calibrated(setup.config) ? std::optional(platt(*setup.table)) : std::nullopt),
        target_(calibration_ ? Judged(*setup.table, *calibration_) : Judged(*setup.table)),
        targets_(setup.context, 2 * heads_.size()) {}

  MfPairs* mf_pairs() override { return nullptr; }
  std::unique_ptr<BatchPlan::Own> make_own() const override { return std::make_unique<JudgedRows>(); }

  void plan(BatchPlan& plan) override {
    Gated::plan(plan);
    auto& own = static_cast<JudgedRows&>(*plan.own);
    own.targets.clear();
    for (const HeadPair& head : own.heads) {
      own.targets.push_back(target_.score(head.user, head.pair.a));
      own.targets.push_back(target_.score(head.user, head.pair.b));
    }
  }

  void upload(const BatchPlan& plan) override {
    Gated::upload(plan);
    const std::vector<float>& targets = static_cast<const JudgedRows&>(*plan.own).targets;
    copy_to_device(setup_.context, targets_.data(), targets.data(), targets.size() * sizeof(float));
  }

  void loss(const StepView& step) override {
    run(setup_.context, step.head);  // the base loss alone
    const std::int64_t n_pairs = std::ssize(rows_of(step.plan).heads);
    Tensor<float> uncertain;
    if (n_pairs > 0) uncertain = uncertainties(step.batch, step.pass.step, 0);
    run(setup_.context, PointwiseHead{.logits = step.head.logits,
                                      .pairs = heads_.data(),
                                      .n_pairs = n_pairs,
                                      .left_out = rows_of(step.plan).left_out,
                                      .targets = targets_.data(),
                                      .loss = loss_of(setup_.config),
                                      .weight = gate().lambda,
                                      .uncertainties = uncertain.data(),
                                      .gate = gate(),
                                      .first_slot = step.head.rows,
                                      .d_logits = step.head.d_logits});
  }

 protected:
  nlohmann::json telemetry(const std::vector<double>& totals) override {
    nlohmann::json out = Gated::telemetry(totals);
    const double pairs = totals[GateColumns::pairs];
    for (const char* of_pairs : {"active_share", "penalty", "sides"}) out.erase(of_pairs);
    out["judged_rows"] = 2 * pairs;
    out["loss"] = pairs > 0 ? nlohmann::json(totals[GateColumns::pair_hinge] / pairs) : nlohmann::json();
    if (calibration_)
      out["platt"] = {{"slope", calibration_->fit.slope}, {"intercept", calibration_->fit.intercept}};
    return out;
  }

 private:
  struct JudgedRows : Rows {
    std::vector<float> targets;
  };
  std::optional<Calibration> calibration_;
  Judged target_;
  Buffer<float> targets_;
};

void check(const Config& config) {
  require(config.train.loss != BaseLoss::bpr || loss_of(config) == PointwiseLoss::logit,
          "method=pointwise: with train.loss=bpr logits are no log-odds: use pointwise.loss=logit, or "
          "train.loss=bce");
  if (!config.part<bool>(kGated)) return;
  const GateSpec spec = gate_spec(config);
  check_uncertainty(config, *spec.rule);
  require(spec.rule->n_params == 0 || spec.objective->uses_probes,
          "pointwise.gated=true: a gating rule with parameters learns from probes alone here: use "
          "gate.objective=agreement, or a gate.rule without parameters");
  require(spec.rule->n_params == 0 || !spec.objective->is_probability,
          fmt::format("pointwise.gated=true weighs rows by alpha, which gate.objective={} reads as a "
                      "probability: use gate.objective=agreement",
                      spec.objective->name));
}

std::string unused(const Config& config, std::string_view key) {
  if (key == "llm.margin") return "the loss of method=pointwise has no margin";
  if (key == "llm.penalty" || key == "gate.sides") return "method=pointwise takes each item by itself";
  if (!key.starts_with("gate.")) return {};
  if (!config.part<bool>(kGated)) return "pointwise.gated is false";
  const GateSpec spec = gate_spec(config);
  if (key == "gate.objective" && spec.rule->n_params == 0) {
    return fmt::format("the rule {} has no parameters to learn", spec.rule->name);
  }
  return why_gate_key_unused(config, spec, key);
}

}  // namespace

GuidanceInfo pointwise_guidance() {
  std::vector<GuidanceColumn> columns = gate_columns();
  columns.insert(columns.begin(), {"pointwise loss", "/loss"});
  return {.name = "pointwise",
          .summary = "the LLM's score as the target of every judged row",
          .words = {"pointwise"},
          .reads_gate = true,
          .keys = {{kLoss,
                    std::string("mse"),
                    "loss of a judged row: of the probability, or of the logit",
                    {"mse", "bce", "logit"}},
                   {kCalibrate,
                    std::string("none"),
                    "platt: scores become probabilities of what users did",
                    {"none", "platt"}},
                   {kGated, false, "weigh judged rows by the gate of [gate]"}},
          .unused = unused,
          .check = check,
          .in_micro_batches = false,
          .make = [](const GuidanceSetup& setup) -> std::unique_ptr<Guidance> {
            // A weight of 0 brings no rows either: they would change a batch norm's statistics.
            if (setup.config.llm.lambda == 0) return std::make_unique<Guidance>(setup);
            return std::make_unique<Pointwise>(setup);
          },
          .columns = columns};
}

}  // namespace sllmr
