#include "host/eval/protocol.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/exec/error.h"

namespace sllmr {

// A protocol's file defines Protocol NAME_protocol().
#define SLLMR_PROTOCOLS(PROTOCOL) \
  PROTOCOL(full)                  \
  PROTOCOL(ctr)

#define SLLMR_DECLARE(name) Protocol name##_protocol();
#define SLLMR_LIST(name) name##_protocol(),
SLLMR_PROTOCOLS(SLLMR_DECLARE)

const std::vector<Protocol>& protocols() {
  static const std::vector<Protocol> all = {SLLMR_PROTOCOLS(SLLMR_LIST)};
  return all;
}

const Protocol& find_protocol(const Config& config) {
  std::vector<std::string> names;
  for (const Protocol& protocol : protocols()) names.emplace_back(protocol.name);
  require_known_name(config, "eval.protocol", names);
  const Protocol& found = *std::ranges::find(protocols(), config.eval.protocol, &Protocol::name);
  for (const Protocol& other : protocols()) {
    for (const std::string_view key : other.own_keys) {
      if (std::ranges::find(found.own_keys, key) != found.own_keys.end()) continue;
      require_not_set(config, key, fmt::format("eval.protocol={} has no use for it", found.name));
    }
  }
  if (config.train.eval_every > 0) monitor_of(config, found);
  return found;
}

Monitor monitor_of(const Config& config, const Protocol& protocol) {
  const auto known = [&](const EvalConfig& eval) { return metrics_of(protocol.offers(eval), eval.topk); };
  const auto is_monitor = [&](const MetricAt& each) { return each.name == config.eval.monitor; };
  const std::vector<MetricAt> metrics = known(config.eval);
  const auto found = std::ranges::find_if(metrics, is_monitor);
  EvalConfig with_lists = config.eval;
  with_lists.lists = true;
  require(
      found != metrics.end() || std::ranges::none_of(known(with_lists), is_monitor),
      fmt::format("eval.monitor={} is a metric of top-K lists: set eval.lists=true", config.eval.monitor));
  std::vector<std::string> names;
  for (const MetricAt& each : metrics) names.push_back(each.name);
  require_known_name(config, "eval.monitor", names);
  return {found->name, found->metric->better,
          config.eval.monitor_on == EvalConfig::MonitorOn::test ? Target::test : Target::validation};
}

}  // namespace sllmr
