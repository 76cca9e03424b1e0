#include "kernels/gates/module/module.h"

#include <deque>
#include <mutex>

#include "kernels/exec/error.h"

namespace sllmr {

namespace {

std::mutex mutex;
std::deque<GateModule>& modules() {
  static std::deque<GateModule> all;  // whose elements stay where they are
  return all;
}

}  // namespace

int add_gate_module(const GateModule& module) {
  const std::lock_guard lock(mutex);
  modules().push_back(module);
  return static_cast<int>(modules().size());
}

const GateModule& gate_module(int number) {
  const std::lock_guard lock(mutex);
  require(number >= 1 && number <= static_cast<int>(modules().size()),
          "gate_module: there is no such module");
  return modules()[static_cast<std::size_t>(number - 1)];
}

}  // namespace sllmr
