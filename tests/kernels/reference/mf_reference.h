// The training step in double precision, written from the paper's formulas and from the optimisers' papers,
// as plainly as possible. It shares nothing with the kernels but data structs and the random draw.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "tests/support/world.h"

namespace sllmr::reference {

using Vector = std::vector<double>;

double uncertainty(double logit, Uncertainty kind);
/// The gate's alpha by the name of its rule. A rule that is not written down here is the registry's own code
/// in double precision: then what the kernels do with it is tested, and its formula is not.
double alpha(std::string_view rule, const GateSignals& z, const Vector& theta);
/// Whether the rule or objective is written down here.
bool knows_rule(std::string_view name);
bool knows_objective(std::string_view name);
double registered_alpha(std::string_view rule, const GateSignals& z, const Vector& theta);

/// What a pair's gate loss depends on.
struct PairFacts {
  double lambda, hinge, cosine;
  bool probe;
  double agreement, mean_alpha, mean_hinge, price, budget_weight, budget_target;
};
/// What the sides of a pair say, and how that is put together.
struct Sides {
  double a, b;  // alpha of either
  bool least = false;
};
/// The gate's loss of one pair, the pair's alpha, and its weight in the model's loss over lambda, by the name
/// of the objective; of one that is not written down here as of a rule.
double gate_loss(std::string_view objective, const Sides& alpha, const PairFacts& pair);
double pair_alpha(std::string_view objective, const Sides& alpha);
double model_weight(std::string_view objective, const Sides& alpha, const PairFacts& pair);
double registered_gate_loss(std::string_view objective, const Sides& alpha, const PairFacts& pair);
double registered_pair_alpha(std::string_view objective, const Sides& alpha);
double registered_model_weight(std::string_view objective, const Sides& alpha, const PairFacts& pair);

/// What a guiding pair's penalty depends on besides the logits.
struct PenaltyFacts {
  double weight, margin, score_a, score_b;
};
/// The penalty of one pair over lambda, by its name; of one that is not written down here as of a rule. Up to
/// a constant that the logits do not change.
double penalty(std::string_view name, double s_a, double s_b, const PenaltyFacts& pair);
bool knows_penalty(std::string_view name);
double registered_penalty(std::string_view name, double s_a, double s_b, const PenaltyFacts& pair);

struct Table {
  std::vector<Vector> weights, first, second;
  std::vector<int> steps;
};

/// Counts and sums over the rows since the start.
struct Totals {
  double rows = 0, loss = 0;
  double pairs = 0, pair_alpha = 0, pair_hinge = 0, pair_weight = 0, active = 0;
  double probes = 0, agreement = 0;
  // [cold][tail]
  double bucket_count[2][2] = {}, bucket_alpha[2][2] = {}, bucket_alpha_squared[2][2] = {},
         bucket_weight[2][2] = {};
  // Of held-out probes, a row a bin of alpha: count, sum of alpha, how often the LLM is right.
  double reliability[10][3] = {};
  Vector gate_gradient;
};

/// Matrix factorisation with BPR, the gated penalty, and the gate.
class Trainer {
 public:
  explicit Trainer(const World& world);

  /// One step of the optimiser on the mean loss of these rows. `step_number` is dense Adam's.
  void step(OptimizerKind kind, int step_number, std::int64_t first_row, std::int64_t rows);
  /// A step a row, of all rows of a world whose rows are apart.
  void step_rows_apart(OptimizerKind kind);
  /// One Adam step on the gate's parameters, over the rows since the last one.
  void gate_step(int step_number);

  const Table& users() const { return users_; }
  const Table& items() const { return items_; }
  const Vector& theta() const { return theta_; }
  const Vector& theta_first() const { return theta_first_; }
  const Vector& theta_second() const { return theta_second_; }
  Vector running() const { return {mean_alpha_, mean_hinge_}; }
  const Totals& totals() const { return totals_; }

 private:
  struct Gradients {
    std::vector<Vector> users, items;
    std::vector<bool> user_touched, item_touched;
    std::vector<bool> item_decays;  // L2 acts on rows of the base loss; a touched user row always is one
  };
  Gradients sum_of_rows(std::int64_t first_row, std::int64_t rows);
  void update(const Gradients& gradients, OptimizerKind kind, int step_number);
  void add_row(const Triple& triple, const RowPairs* pairs, Gradients& gradients);
  void add_pair(const Triple& triple, const LlmPair& pair, bool probe, Gradients& gradients);
  double score(Id user, Id item) const;
  GateSignals signals(Id user, Id item, const LlmPair& pair) const;
  /// The first `numbers` of each row.
  void update(Table& table, std::size_t numbers, const std::vector<Vector>& gradients,
              const std::vector<bool>& touched, const std::vector<bool>& decays, OptimizerKind kind,
              int step_number) const;
  /// Of a user's row: all but the 1 that stands for the item's bias.
  std::size_t user_numbers() const;

  World world_;
  std::string_view rule_, objective_, penalty_;
  Table users_, items_;
  Vector theta_, theta_first_, theta_second_;
  double mean_alpha_, mean_hinge_;
  Totals totals_, chunk_;  // since the start; since the last gate step
};

}  // namespace sllmr::reference
