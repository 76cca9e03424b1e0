#include "host/guidance/gate_state.h"

#include <algorithm>
#include <span>
#include <type_traits>

#include "kernels/exec/communicator.h"
#include "kernels/gate_step.h"

namespace sllmr {

int concurrent_slots(const Context& context) {
  return context.device() == Device::cpu ? context.threads() : 256;
}

GateState::GateState(Context& context, const Config& config, const GateSpec& spec, int slots)
    : context_(context), learning_rate_(static_cast<float>(config.gate.lr)) {
  slots_ = Buffer<float>(context, size_product(slots, GateColumns::stride));
  totals_ = Buffer<double>(context, GateColumns::used);
  scratch_ = Buffer<float>(context, GateColumns::used);
  // Until the first chunk has told, all pairs count as open: `normalised` then starts like `hinge`.
  const float running[] = {1.0F, 0.0F};
  running_ = Buffer<float>(context, std::span<const float>(running));
  gate_.slots = slots_.data();
  gate_.n_slots = slots;
  gate_.running = running_.data();
  gate_.seed = config.seed;
  gate_.lambda = static_cast<float>(config.llm.lambda);
  gate_.margin = static_cast<float>(config.llm.margin);
  if (spec.rule == nullptr) return;
  if (!uses_margin(spec)) gate_.margin = 0;

  const std::vector<float> theta = initial_gate_params(*spec.rule, config.seed);
  theta_ = Buffer<float>(context, std::span<const float>(theta));
  first_ = Buffer<float>(context, theta.size());
  second_ = Buffer<float>(context, theta.size());
  gate_.theta = theta_.data();
  gate_.module = spec.rule->module;
  gate_.rule = spec.rule->id;
  gate_.objective = spec.objective->id;
  gate_.penalty = spec.penalty->id;
  gate_.least_side = spec.least_side;
  // A rule without parameters has nothing to learn from probes.
  gate_.uses_probes = spec.objective->uses_probes && spec.rule->n_params > 0;
  gate_.holds_out = gate_.uses_probes && spec.objective->is_probability;
  gate_.noise = Noise{config.llm.noise, config.llm.noise_slice}.drawn();
  gate_.draw_power = static_cast<float>(1 / config.gate.mean_alpha - 1);
  gate_.uses_cosine = spec.objective->uses_cosine;
  gate_.uncertainty = config.gate.uncertainty;
  gate_.price = static_cast<float>(config.gate.price);
  gate_.budget_weight = static_cast<float>(config.gate.budget_weight);
  gate_.budget_target = static_cast<float>(config.gate.budget_target);
}

void GateState::start_epoch() {
  totals_.zero(context_);
}

void GateState::step(int slots) {
  ++steps_;
  if (first_rank_steps_ && context_.ranks().rank() != 0) return share_step();
  run(context_, GateStep{.slots = slots_.data(),
                         .n_slots = slots,
                         .n_params = n_params(),
                         .holds_out = gate_.holds_out,
                         .learning_rate = learning_rate_,
                         .step = steps_,
                         .theta = theta_.data(),
                         .first = first_.data(),
                         .second = second_.data(),
                         .running = running_.data(),
                         .totals = totals_.data(),
                         .scratch = scratch_.data()});
  if (first_rank_steps_) share_step();
}

void GateState::share_step() {
  const auto share = [&](auto& buffer) {
    auto values = buffer.to_host(context_);
    using Value = typename std::decay_t<decltype(values)>::value_type;
    context_.ranks().broadcast(values.data(), values.size() * sizeof(Value), 0);
    buffer.assign(context_, std::span<const Value>(values));
  };
  if (theta_.size() != 0) share(theta_);
  share(running_);
  share(totals_);
}

void GateState::gather_slots() {
  Communicator& ranks = context_.ranks();
  std::vector<float> slots = slots_.to_host(context_);
  const std::size_t share = slots.size() / static_cast<std::size_t>(ranks.size());
  const auto own = slots.begin() + ranks.rank() * static_cast<std::ptrdiff_t>(share);
  const std::vector<float> mine(own, own + static_cast<std::ptrdiff_t>(share));
  ranks.all_gather(mine.data(), share * sizeof(float), slots.data());
  slots_.assign(context_, std::span<const float>(slots));
}

void GateState::keep_own_slots() {
  const Communicator& ranks = context_.ranks();
  std::vector<float> slots = slots_.to_host(context_);
  const auto share = std::ssize(slots) / ranks.size();
  std::fill(slots.begin(), slots.begin() + ranks.rank() * share, 0.0F);
  std::fill(slots.begin() + (ranks.rank() + 1) * share, slots.end(), 0.0F);
  slots_.assign(context_, std::span<const float>(slots));
}

void GateState::add_to_totals(const std::vector<double>& more) {
  std::vector<double> sums = totals();
  for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += more[k];
  totals_.assign(context_, std::span<const double>(sums));
}

std::vector<NamedBuffer> GateState::named_buffers() {
  std::vector<NamedBuffer> named;
  const auto vector = [&](const char* name, auto& buffer) {
    if (buffer.size() != 0) named.push_back({name, {static_cast<std::int64_t>(buffer.size())}, &buffer});
  };
  vector("gate.theta", theta_);
  vector("gate.first", first_);
  vector("gate.second", second_);
  vector("gate.running", running_);
  vector("gate.totals", totals_);
  return named;
}

NamedBuffer GateState::sums_of_chunk() {
  return {"gate.slots", {static_cast<std::int64_t>(slots_.size())}, &slots_};
}

}  // namespace sllmr
