#include "host/guidance/guidance.h"

#include <cmath>

namespace sllmr {

nlohmann::json to_json(const EpochReport& report) {
  return {{"rows", report.rows}, {"loss", report.loss}, {"guidance", report.guidance}};
}

EpochReport report_from_json(const nlohmann::json& json) {
  return {json.at("rows"), json.at("loss"), json.at("guidance")};
}

Guidance::Guidance(const GuidanceSetup& setup, const GateSpec& spec, std::int64_t own_slots)
    : setup_(setup), state_(setup.context, setup.config, spec, setup.slots + static_cast<int>(own_slots)) {
  setup_.vectors = nullptr;  // the backbone has its own of them
}

void Guidance::begin_chunk(const Chunk& chunk) {
  counted_before_ = counted_;
  start_chunk(chunk);
}

void Guidance::count(int column, double value) {
  counted_.resize(GateColumns::used);
  counted_[static_cast<std::size_t>(column)] += value;
}

void Guidance::settle() {
  if (counted_.empty()) return;
  state_.add_to_totals(counted_);
  counted_.clear();
}

EpochReport Guidance::report(std::int64_t rows) {
  settle();
  const std::vector<double> totals = state_.totals();
  const double counted = totals[GateColumns::rows];
  EpochReport out;
  out.rows = rows;
  out.loss = counted > 0 ? totals[GateColumns::loss] / counted : 0.0;
  require_converged(out.loss);
  out.guidance = telemetry(totals);
  return out;
}

void Guidance::require_converged(double figure) {
  require(std::isfinite(figure),
          "the training loss is not finite: training diverged; lower train.lr (or raise train.l2) and start "
          "again");
}

}  // namespace sllmr
