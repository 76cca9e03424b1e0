// The accumulators of a run, which every method sums up in, and the parameters of a gate, if it has one.
#pragma once

#include <cstdint>
#include <vector>

#include "host/config/config.h"
#include "host/guidance/gate_spec.h"
#include "models/named_buffer.h"

namespace sllmr {

/// Groups that may add to the accumulators at once without meeting: threads, or enough for a GPU's blocks.
int concurrent_slots(const Context& context);

class GateState {
 public:
  GateState(Context& context, const Config& config, const GateSpec& spec, int slots);

  /// For the kernels, but for the signals, which are whose pairs they are.
  const GateArgs& gate() const { return gate_; }
  GateArgs& gate() { return gate_; }
  int n_params() const { return static_cast<int>(theta_.size()); }

  void start_epoch();
  /// Ends a chunk: sums the first `slots` slots into the totals, takes a step of the gate and empties them.
  void step(int slots);
  /// Where the first of several ranks has all slots: it takes the steps, and tells the others what came of
  /// them.
  void step_on_first_rank() { first_rank_steps_ = true; }
  /// Of several ranks, each of which has added to a share of the slots, as many as there are ranks and by
  /// rank: gives each all slots.
  void gather_slots();
  /// Empties all slots but the rank's own share.
  void keep_own_slots();
  /// Sums since start_epoch(), by GateColumns.
  std::vector<double> totals() const { return totals_.to_host(context_); }
  void add_to_totals(const std::vector<double>& more);

  std::vector<float> parameters() const { return theta_.to_host(context_); }
  /// {mean alpha, mean alpha * hinge}.
  std::vector<float> running() const { return running_.to_host(context_); }

  std::vector<NamedBuffer> named_buffers();
  NamedBuffer sums_of_chunk();
  std::int32_t& steps() { return steps_; }

 private:
  void share_step();

  Context& context_;
  float learning_rate_;
  Buffer<float> slots_, theta_, first_, second_, running_, scratch_;
  Buffer<double> totals_;
  GateArgs gate_;
  std::int32_t steps_ = 0;
  bool first_rank_steps_ = false;
};

}  // namespace sllmr
