// What the ranks of one run agree on. Alone, a rank agrees with itself.
#pragma once

#include <string>

#include "host/config/config.h"
#include "host/runs/run_inputs.h"
#include "kernels/exec/communicator.h"
#include "kernels/exec/context.h"

namespace sllmr {

/// All ranks train and evaluate; the first one tells of it and keeps the run's folder, which the others must
/// be able to read.
class RunRanks {
 public:
  explicit RunRanks(Communicator& ranks) : ranks_(ranks) {}

  Communicator& communicator() const { return ranks_; }
  int size() const { return ranks_.size(); }
  bool writes() const { return ranks_.rank() == 0; }
  /// CPU threads of this rank: those that are asked for, or its share of the cores that it may run on; all
  /// ranks the same.
  int threads(const Config& config);

  /// Until all are here: what the first rank has written by then is there for all.
  void meet() { any(false); }
  /// Is it true of any rank?
  bool any(bool mine) { return ranks_.size() == 1 ? mine : any_of(ranks_, mine); }
  /// The first rank's word on what depends on its clock.
  bool first_says(bool mine);

  /// Throws Error, which names the rank, where one has another program, configuration, data or kind of
  /// device: such ranks would wait for each other in vain, or mix what does not belong together.
  void require_same(const Config& config, const RunInputs& inputs, const Context& context);

 private:
  Communicator& ranks_;
};

}  // namespace sllmr
