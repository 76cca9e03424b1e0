// Enumerates every registered rule with every objective, so that a new one is tested without editing tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>

#include "kernels/gates/parts.h"

namespace sllmr {

/// (rule, objective)
using GateParts = std::tuple<int, int>;

inline auto every_gate() {
  return testing::Combine(testing::Range(0, static_cast<int>(gate_rules().size())),
                          testing::Range(0, static_cast<int>(gate_objectives().size())));
}

inline std::string test_name(std::string_view part) {
  std::string name(part);
  std::ranges::replace(name, '-', '_');
  return name;
}

inline std::string rule_test_name(const testing::TestParamInfo<int>& info) {
  return test_name(gate_rules()[static_cast<std::size_t>(info.param)].name);
}

inline std::string objective_test_name(const testing::TestParamInfo<int>& info) {
  return test_name(gate_objectives()[static_cast<std::size_t>(info.param)].name);
}

inline std::string gate_test_name(const testing::TestParamInfo<GateParts>& info) {
  const auto [rule, objective] = info.param;
  return test_name(gate_rules()[static_cast<std::size_t>(rule)].name) + "_with_" +
         test_name(gate_objectives()[static_cast<std::size_t>(objective)].name);
}

inline int rule_id(std::string_view name) {
  return find_gate_part(gate_rules(), name)->id;
}
inline std::string penalty_test_name(const testing::TestParamInfo<int>& info) {
  return test_name(gate_penalties()[static_cast<std::size_t>(info.param)].name);
}
inline int penalty_id(std::string_view name) {
  return find_gate_part(gate_penalties(), name)->id;
}
inline int objective_id(std::string_view name) {
  return find_gate_part(gate_objectives(), name)->id;
}

}  // namespace sllmr
