#include "tests/kernels/reference/mf_reference.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels/exec/random.h"
#include "kernels/gates/parts.h"
#include "kernels/gates/registry.h"

namespace sllmr::reference {

namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

double dot(const Vector& x, const Vector& y) {
  double sum = 0;
  for (std::size_t k = 0; k < x.size(); ++k) sum += x[k] * y[k];
  return sum;
}

Vector minus(const Vector& x, const Vector& y) {
  Vector out(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) out[k] = x[k] - y[k];
  return out;
}

/// to += factor * x
void add(Vector& to, double factor, const Vector& x) {
  for (std::size_t k = 0; k < x.size(); ++k) to[k] += factor * x[k];
}

std::size_t at(Id id) {
  return static_cast<std::size_t>(id);
}

Vector doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

std::vector<Vector> rows_of(const std::vector<float>& values, int width) {
  std::vector<Vector> rows;
  for (auto row = values.begin(); row != values.end(); row += width) rows.emplace_back(row, row + width);
  return rows;
}

Table table_of(const HostTable& host, int width) {
  return {rows_of(host.weights, width),
          rows_of(host.first, width),
          rows_of(host.second, width),
          {host.steps.begin(), host.steps.end()}};
}

double mlp(const GateSignals& z, const Vector& theta) {
  const Vector x{z.cold,           z.tail,      z.uncertainty,  z.log_history,
                 z.log_popularity, z.score_gap, z.score_entropy};
  double logit = theta.back();
  for (std::size_t unit = 0; unit < 8; ++unit) {
    const Vector weights(theta.begin() + 9 * unit, theta.begin() + 9 * unit + 7);
    const double bias = theta[9 * unit + 7], out = theta[9 * unit + 8];
    logit += out * std::tanh(dot(weights, x) + bias);
  }
  return sigmoid(logit);
}

/// Kingma and Ba 2015, algorithm 1, for one number.
double adam(double weight, double gradient, double& m, double& v, int t, double rate) {
  m = 0.9 * m + 0.1 * gradient;
  v = 0.999 * v + 0.001 * gradient * gradient;
  const double m_hat = m / (1 - std::pow(0.9, t)), v_hat = v / (1 - std::pow(0.999, t));
  return weight - rate * m_hat / (std::sqrt(v_hat) + 1e-8);
}

void add(Totals& to, const Totals& x) {
  to.rows += x.rows;
  to.loss += x.loss;
  to.pairs += x.pairs;
  to.pair_alpha += x.pair_alpha;
  to.pair_hinge += x.pair_hinge;
  to.pair_weight += x.pair_weight;
  to.active += x.active;
  to.probes += x.probes;
  to.agreement += x.agreement;
  for (int cold = 0; cold < 2; ++cold) {
    for (int tail = 0; tail < 2; ++tail) {
      to.bucket_count[cold][tail] += x.bucket_count[cold][tail];
      to.bucket_alpha[cold][tail] += x.bucket_alpha[cold][tail];
      to.bucket_alpha_squared[cold][tail] += x.bucket_alpha_squared[cold][tail];
      to.bucket_weight[cold][tail] += x.bucket_weight[cold][tail];
    }
  }
  for (int bin = 0; bin < 10; ++bin) {
    for (int k = 0; k < 3; ++k) to.reliability[bin][k] += x.reliability[bin][k];
  }
  add(to.gate_gradient, 1, x.gate_gradient);
}

constexpr double kNormalisedFloor = 0.05;

struct RegisteredAlpha {
  const GateSignals& z;
  const Vector& theta;
  double alpha = 0;

  template <class Rule>
  void operator()() {
    alpha = static_cast<double>(Rule::alpha(z, PlainTheta<double>{theta.data()}));
  }
};

struct RegisteredObjective {
  const Sides& sides;
  const PairFacts& facts;
  double loss = 0, alpha = 0, weight = 0;

  template <class Objective>
  void operator()() {
    const auto single = [](double x) { return static_cast<float>(x); };
    const PairContext pair{.lambda = single(facts.lambda),
                           .hinge = single(facts.hinge),
                           .cosine = single(facts.cosine),
                           .probe = facts.probe,
                           .agreement = single(facts.agreement),
                           .mean_alpha = single(facts.mean_alpha),
                           .mean_hinge = single(facts.mean_hinge),
                           .price = single(facts.price),
                           .budget_weight = single(facts.budget_weight),
                           .budget_target = single(facts.budget_target)};
    alpha = static_cast<double>(Objective::of_pair(sides.a, sides.b, sides.least));
    loss = static_cast<double>(Objective::loss(alpha, pair));
    weight = static_cast<double>(pair_weight<Objective>(single(sides.a), single(sides.b), sides.least, pair));
  }
};

RegisteredObjective registered(std::string_view objective, const Sides& sides, const PairFacts& pair) {
  RegisteredObjective visitor{sides, pair};
  GateObjectives::visit(find_gate_part(gate_objectives(), objective)->id, visitor);
  return visitor;
}

struct RegisteredPenalty {
  double s_a, s_b;
  const PenaltyFacts& facts;
  double loss = 0;

  template <class Penalty>
  void operator()() {
    const auto single = [](double x) { return static_cast<float>(x); };
    loss = static_cast<double>(Penalty::loss(s_a, s_b,
                                             GuidingPair{single(facts.weight), single(facts.margin),
                                                         single(facts.score_a), single(facts.score_b)}));
  }
};

double together(const Sides& sides) {
  return sides.least ? std::min(sides.a, sides.b) : (sides.a + sides.b) / 2;
}

/// -t log sigmoid(s) - (1 - t) log sigmoid(-s)
double cross_entropy(double s, double t) {
  return -t * std::log(sigmoid(s)) - (1 - t) * std::log(sigmoid(-s));
}

}  // namespace

double uncertainty(double logit, Uncertainty kind) {
  const double p = sigmoid(logit), not_p = sigmoid(-logit);
  if (kind == Uncertainty::confidence) return 2 * (1 - std::max(p, not_p));
  require(kind == Uncertainty::entropy, "the reference makes no other uncertainty of a logit");
  double entropy = 0;
  for (const double x : {p, not_p}) {
    if (x > 0) entropy -= x * std::log2(x);
  }
  return entropy;
}

bool knows_rule(std::string_view name) {
  constexpr std::string_view kNames[] = {"learned", "always", "never",  "cold-or-tail", "cold",
                                         "tail",    "random", "oracle", "mlp",          "confident"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

bool knows_objective(std::string_view name) {
  constexpr std::string_view kNames[] = {"hinge",      "agreement", "alignment",
                                         "normalised", "budget",    "calibrated"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

double registered_alpha(std::string_view rule, const GateSignals& z, const Vector& theta) {
  RegisteredAlpha visitor{z, theta};
  GateRules::visit(find_gate_part(gate_rules(), rule)->id, visitor);
  return visitor.alpha;
}

double alpha(std::string_view rule, const GateSignals& z, const Vector& theta) {
  if (rule == "learned") {
    return sigmoid(theta[0] * z.cold + theta[1] * z.tail + theta[2] * z.uncertainty + theta[3]);
  }
  if (rule == "always") return 1;
  if (rule == "never") return 0;
  if (rule == "cold-or-tail") return z.cold == 1 || z.tail == 1 ? 1 : 0;
  if (rule == "cold") return z.cold;
  if (rule == "tail") return z.tail;
  if (rule == "random" || rule == "oracle") return z.draw;
  if (rule == "confident") {
    const Vector x{z.cold,
                   z.tail,
                   z.uncertainty,
                   z.log_history,
                   z.log_popularity,
                   z.score_gap,
                   z.logit,
                   z.score_entropy,
                   z.user_entropy,
                   z.judge_variance,
                   z.cold * z.score_gap,
                   z.tail * z.score_gap,
                   1};
    return sigmoid(dot(x, theta));
  }
  if (rule == "mlp") return mlp(z, theta);
  return registered_alpha(rule, z, theta);
}

double registered_gate_loss(std::string_view objective, const Sides& alpha, const PairFacts& pair) {
  return registered(objective, alpha, pair).loss;
}
double registered_pair_alpha(std::string_view objective, const Sides& alpha) {
  return registered(objective, alpha, PairFacts{}).alpha;
}
double registered_model_weight(std::string_view objective, const Sides& alpha, const PairFacts& pair) {
  return registered(objective, alpha, pair).weight;
}
double registered_penalty(std::string_view name, double s_a, double s_b, const PenaltyFacts& pair) {
  RegisteredPenalty visitor{s_a, s_b, pair};
  GatePenalties::visit(find_gate_part(gate_penalties(), name)->id, visitor);
  return visitor.loss;
}

double gate_loss(std::string_view objective, const Sides& sides, const PairFacts& pair) {
  const double alpha = pair_alpha(objective, sides);
  if (objective == "calibrated") {
    if (!pair.probe || pair.agreement == 0) return 0;
    return -std::log((pair.agreement > 0 ? alpha : 1 - alpha) + 1e-6);
  }
  if (objective == "agreement") return pair.probe ? -alpha * (pair.agreement - pair.price) : 0;
  if (objective == "hinge") return pair.lambda * alpha * pair.hinge;
  if (objective == "alignment") return -alpha * pair.cosine;
  if (objective == "normalised") {
    // First-order change of lambda * sum(alpha h) / sum(alpha) where the means are what they were.
    const double mean = std::max(pair.mean_alpha, kNormalisedFloor);
    return pair.lambda * alpha * (pair.hinge / mean - pair.mean_hinge / (mean * mean));
  }
  if (objective == "budget") {
    return pair.lambda * alpha * pair.hinge +
           pair.budget_weight * 2 * (pair.mean_alpha - pair.budget_target) * alpha;
  }
  return registered_gate_loss(objective, sides, pair);
}

double pair_alpha(std::string_view objective, const Sides& sides) {
  if (objective == "calibrated") {
    // Alphas of fixed rules are 0 or 1.
    const auto odds = [](double p) { return (p + 1e-7) / (1 - p + 1e-7); };
    return sigmoid((std::log(odds(sides.a)) + std::log(odds(sides.b))) / 2);
  }
  return knows_objective(objective) ? together(sides) : registered_pair_alpha(objective, sides);
}

double model_weight(std::string_view objective, const Sides& sides, const PairFacts& pair) {
  if (!knows_objective(objective)) return registered_model_weight(objective, sides, pair);
  if (objective == "normalised") return together(sides) / std::max(pair.mean_alpha, kNormalisedFloor);
  if (objective == "calibrated") {
    const auto beyond_chance = [](double p) { return std::max(0.0, 2 * p - 1); };
    return together({beyond_chance(sides.a), beyond_chance(sides.b), sides.least});
  }
  return together(sides);
}

bool knows_penalty(std::string_view name) {
  return name == "hinge" || name == "soft" || name == "pointwise";
}

double penalty(std::string_view name, double s_a, double s_b, const PenaltyFacts& pair) {
  if (name == "hinge") return pair.weight * std::max(0.0, pair.margin - (s_a - s_b));
  if (name == "pointwise") {
    return pair.weight * (cross_entropy(s_a, pair.score_a) + cross_entropy(s_b, pair.score_b));
  }
  if (name == "soft") {
    const double sure = (1 + std::min(pair.weight, 1.0)) / 2;
    if (pair.weight == 0 || sigmoid(s_a - s_b) >= sure) return 0;
    return 2 * cross_entropy(s_a - s_b, sure);
  }
  return registered_penalty(name, s_a, s_b, pair);
}

Trainer::Trainer(const World& world)
    : world_(world),
      rule_(gate_rules()[static_cast<std::size_t>(world.gate.rule)].name),
      objective_(gate_objectives()[static_cast<std::size_t>(world.gate.objective)].name),
      penalty_(gate_penalties()[static_cast<std::size_t>(world.gate.penalty)].name),
      users_(table_of(world.state.users, world.shape.width)),
      items_(table_of(world.state.items, world.shape.width)),
      theta_(doubles(world.state.gate.theta)),
      theta_first_(doubles(world.state.gate.first)),
      theta_second_(doubles(world.state.gate.second)),
      mean_alpha_(world.state.gate.running[0]),
      mean_hinge_(world.state.gate.running[1]) {
  totals_.gate_gradient.resize(theta_.size());
  chunk_ = totals_;
}

std::size_t Trainer::user_numbers() const {
  return static_cast<std::size_t>(world_.shape.width - (world_.shape.item_bias ? 1 : 0));
}

double Trainer::score(Id user, Id item) const {
  return dot(users_.weights[at(user)], items_.weights[at(item)]);
}

GateSignals Trainer::signals(Id user, Id item, const LlmPair& pair) const {
  const auto key = (static_cast<std::uint64_t>(user) << 32) + static_cast<std::uint64_t>(item);
  const Draw draw = philox(world_.gate.seed, 0, key, Purpose::gate_rule);
  const double logit = score(user, item);
  const auto q = static_cast<float>(uncertainty(logit, world_.gate.uncertainty));
  const double u = static_cast<double>(uniform(draw.word[0]));
  const GateArgs& gate = world_.gate;
  const bool replaced = uniform(philox(gate.seed, static_cast<std::uint32_t>(user),
                                       static_cast<std::uint64_t>(item), Purpose::noise)
                                    .word[0]) < 0x1p-24F * static_cast<float>(gate.noise.below) &&
                        (!gate.noise.warm_only || world_.user_signals[at(user)].cold == 0.0F) &&
                        (!gate.noise.head_only || world_.item_signals[at(item)].tail == 0.0F);
  return {world_.user_signals[at(user)],
          world_.item_signals[at(item)],
          q,
          static_cast<float>(std::clamp(logit, -3.0, 3.0)),
          pair.gap(),
          rule_ == "oracle" ? (replaced ? 0.0F : 1.0F)
                            : static_cast<float>(std::pow(u, static_cast<double>(gate.draw_power)))};
}

void Trainer::add_pair(const Triple& triple, const LlmPair& pair, bool probe, Gradients& gradients) {
  const Id user = triple.user;
  const GateSignals za = signals(user, pair.a, pair), zb = signals(user, pair.b, pair);
  const auto sides = [&](const Vector& theta) {
    return Sides{alpha(rule_, za, theta), alpha(rule_, zb, theta), world_.gate.least_side};
  };
  const double hinge =
      probe ? 0 : std::max(0.0, world_.gate.margin - (score(user, pair.a) - score(user, pair.b)));

  // Gradients on the user's row: the base loss falls along V[i] - V[j], the hinge along V[a] - V[b].
  Vector base = minus(items_.weights[at(triple.positive)], items_.weights[at(triple.negative)]);
  Vector guided = minus(items_.weights[at(pair.a)], items_.weights[at(pair.b)]);
  base.resize(user_numbers());
  guided.resize(user_numbers());
  const double cosine = hinge > 0 ? dot(base, guided) / std::sqrt(dot(base, base) * dot(guided, guided)) : 0;

  const PairFacts facts{world_.gate.lambda,
                        hinge,
                        cosine,
                        probe,
                        pair.agreement(),
                        mean_alpha_,
                        mean_hinge_,
                        world_.gate.price,
                        world_.gate.budget_weight,
                        world_.gate.budget_target};
  // Probes teach the objectives that ask for them alone, and not those of users held out.
  const bool apart = probe && held_out(world_.gate, user);
  const bool teaches = !probe || (world_.gate.uses_probes && !apart);
  for (std::size_t k = 0; teaches && k < theta_.size(); ++k) {
    constexpr double kStep = 1e-5;
    Vector above = theta_, below = theta_;
    above[k] += kStep;
    below[k] -= kStep;
    chunk_.gate_gradient[k] +=
        (gate_loss(objective_, sides(above), facts) - gate_loss(objective_, sides(below), facts)) /
        (2 * kStep);
  }
  if (probe) {
    chunk_.probes += 1;
    chunk_.agreement += pair.agreement();
    if (apart && pair.agreement() != 0) {
      const double p = pair_alpha(objective_, sides(theta_));
      double* bin = chunk_.reliability[std::min(9, static_cast<int>(10 * p))];
      bin[0] += 1;
      bin[1] += p;
      bin[2] += pair.agreement() > 0 ? 1 : 0;
    }
    return;
  }

  const double together = pair_alpha(objective_, sides(theta_));
  const double weight = model_weight(objective_, sides(theta_), facts);
  chunk_.pairs += 1;
  chunk_.pair_alpha += together;
  chunk_.pair_hinge += together * hinge;
  chunk_.pair_weight += weight;
  for (const GateSignals& z : {za, zb}) {
    const int cold = z.cold == 1 ? 1 : 0, tail = z.tail == 1 ? 1 : 0;
    const double one = alpha(rule_, z, theta_);
    chunk_.bucket_count[cold][tail] += 1;
    chunk_.bucket_alpha[cold][tail] += one;
    chunk_.bucket_alpha_squared[cold][tail] += one * one;
    chunk_.bucket_weight[cold][tail] += weight;
  }
  const PenaltyFacts pull{weight, world_.gate.margin, pair.score_a, pair.score_b};
  const double s_a = score(user, pair.a), s_b = score(user, pair.b);
  constexpr double kStep = 1e-6;
  const auto slope = [&](double d_a, double d_b) {
    return world_.gate.lambda *
           (penalty(penalty_, s_a + d_a, s_b + d_b, pull) - penalty(penalty_, s_a - d_a, s_b - d_b, pull)) /
           (2 * kStep);
  };
  const double push_a = slope(kStep, 0), push_b = slope(0, kStep);
  if (push_a == 0 && push_b == 0) return;  // a shut gate touches no row
  chunk_.active += 1;
  add(gradients.users[at(user)], push_a, items_.weights[at(pair.a)]);
  add(gradients.users[at(user)], push_b, items_.weights[at(pair.b)]);
  add(gradients.items[at(pair.a)], push_a, users_.weights[at(user)]);
  add(gradients.items[at(pair.b)], push_b, users_.weights[at(user)]);
  gradients.item_touched[at(pair.a)] = true;
  gradients.item_touched[at(pair.b)] = true;
}

void Trainer::add_row(const Triple& triple, const RowPairs* pairs, Gradients& gradients) {
  const double margin = score(triple.user, triple.positive) - score(triple.user, triple.negative);
  chunk_.rows += 1;
  chunk_.loss += std::log(1 + std::exp(-margin));
  const double push = sigmoid(-margin);
  const Vector& user = users_.weights[at(triple.user)];
  add(gradients.users[at(triple.user)], -push, items_.weights[at(triple.positive)]);
  add(gradients.users[at(triple.user)], push, items_.weights[at(triple.negative)]);
  add(gradients.items[at(triple.positive)], -push, user);
  add(gradients.items[at(triple.negative)], push, user);
  gradients.user_touched[at(triple.user)] = true;
  gradients.item_touched[at(triple.positive)] = true;
  gradients.item_touched[at(triple.negative)] = true;
  gradients.item_decays[at(triple.positive)] = true;
  gradients.item_decays[at(triple.negative)] = true;
  if (pairs == nullptr) return;
  if (pairs->guide.a != 0) add_pair(triple, pairs->guide, false, gradients);
  if (pairs->probe.a != 0) add_pair(triple, pairs->probe, true, gradients);
}

void Trainer::update(Table& table, std::size_t numbers, const std::vector<Vector>& gradients,
                     const std::vector<bool>& touched, const std::vector<bool>& decays, OptimizerKind kind,
                     int step_number) const {
  const double rate = world_.optimizer.learning_rate, l2 = world_.optimizer.l2;
  for (std::size_t row = 0; row < gradients.size(); ++row) {
    if (!touched[row] && !info_of(kind).every_row) continue;
    ++table.steps[row];
    for (std::size_t k = 0; k < numbers; ++k) {
      double& weight = table.weights[row][k];
      double& first = table.first[row][k];
      double& second = table.second[row][k];
      const bool decay = decays[row] || info_of(kind).every_row;
      const double gradient = gradients[row][k] + (decay ? l2 * weight : 0);
      switch (kind) {
        case OptimizerKind::sgd:
          weight -= rate * gradient;
          break;
        case OptimizerKind::adagrad:
          first += gradient * gradient;
          weight -= rate * gradient / (std::sqrt(first) + 1e-10);
          break;
        case OptimizerKind::lazy_adam:
          weight = adam(weight, gradient, first, second, table.steps[row], rate);
          break;
        case OptimizerKind::adam:
          weight = adam(weight, gradient, first, second, step_number, rate);
          break;
      }
    }
  }
}

Trainer::Gradients Trainer::sum_of_rows(std::int64_t first_row, std::int64_t rows) {
  const Vector zero(static_cast<std::size_t>(world_.shape.width));
  Gradients gradients{std::vector<Vector>(users_.weights.size(), zero),
                      std::vector<Vector>(items_.weights.size(), zero),
                      std::vector<bool>(users_.weights.size()), std::vector<bool>(items_.weights.size()),
                      std::vector<bool>(items_.weights.size())};
  std::size_t pair = 0;
  for (std::int64_t row = 0; row < first_row + rows; ++row) {
    const bool selected = world_.pair_rate.selects(static_cast<std::uint64_t>(row));
    if (row >= first_row) {
      add_row(world_.triples[static_cast<std::size_t>(row)], selected ? &world_.pairs[pair] : nullptr,
              gradients);
    }
    if (selected) ++pair;
  }
  return gradients;
}

void Trainer::update(const Gradients& gradients, OptimizerKind kind, int step_number) {
  update(users_, user_numbers(), gradients.users, gradients.user_touched, gradients.user_touched, kind,
         step_number);
  update(items_, static_cast<std::size_t>(world_.shape.width), gradients.items, gradients.item_touched,
         gradients.item_decays, kind, step_number);
}

void Trainer::step(OptimizerKind kind, int step_number, std::int64_t first_row, std::int64_t rows) {
  Gradients gradients = sum_of_rows(first_row, rows);
  for (auto* side : {&gradients.users, &gradients.items}) {
    for (Vector& row : *side) {
      for (double& x : row) x /= static_cast<double>(rows);
    }
  }
  update(gradients, kind, step_number);
}

void Trainer::step_rows_apart(OptimizerKind kind) {
  if (!world_.shape.apart) throw std::logic_error("the rows of this world are not apart");
  update(sum_of_rows(0, world_.shape.rows), kind, 0);
}

void Trainer::gate_step(int step_number) {
  for (std::size_t k = 0; k < theta_.size(); ++k) {
    theta_[k] = adam(theta_[k], chunk_.gate_gradient[k] / chunk_.rows, theta_first_[k], theta_second_[k],
                     step_number, world_.gate_rate);
  }
  if (chunk_.pairs > 0) {
    const double keep = std::min(0.9, 1 - 1.0 / step_number);
    mean_alpha_ = keep * mean_alpha_ + (1 - keep) * chunk_.pair_alpha / chunk_.pairs;
    mean_hinge_ = keep * mean_hinge_ + (1 - keep) * chunk_.pair_hinge / chunk_.pairs;
  }
  add(totals_, chunk_);
  chunk_ = Totals{};
  chunk_.gate_gradient.resize(theta_.size());
}

}  // namespace sllmr::reference
