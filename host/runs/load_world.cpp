#include <memory>

#include "host/data/import.h"
#include "host/eval/protocol.h"
#include "host/runs/training.h"
#include "kernels/exec/error.h"

namespace sllmr {

World load_world(const Config& config) {
  require(!config.data.path.empty(),
          "data.path is not set: name the data, for example data.path=../data/beauty");
  World world;
  world.data = std::make_shared<const Dataset>(load_dataset(config.data.path, config.data));
  world.split = leave_one_out(*world.data, {config.data.cold_history, config.data.tail_share});
  return world;
}

void check_protocol(const Config& config, const Split& split) {
  const Protocol& protocol = find_protocol(config);
  protocol.check(config, split, Target::test);
  const Target monitored = monitor_of(config, protocol).target;
  require(
      config.train.eval_every == 0 || monitored == Target::test ||
          config.data.split != SplitSource::last_item,
      "data.split=last_item leaves no item for validations: set train.eval_every=0, or eval.monitor_on=test, "
      "which lets the test choose the epoch");
  if (config.train.eval_every > 0) protocol.check(config, split, monitored);
}

}  // namespace sllmr
