// Compiles headers with gate parts into a library, once for what stands in them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/guidance/gate_header.h"
#include "kernels/gates/module/module.h"

namespace sllmr {

/// Which kernels a module has.
struct ModuleKernels {
  bool any = true;  // else it is for a trial alone
  int fused = -1;   // of matrix factorisation: 1 the fused step, 0 the exact one, -1 none
  int width = 0;    // of that, as the optimiser
  std::string optimizer = {};
};

/// What gate_parts_of() in gate_module.h says of modules.
class GateCompiler {
 public:
  GateCompiler(std::vector<std::string> files, ModuleKernels kernels, bool cuda);

  GateModule load();
  /// That compiling has taken.
  double seconds() const { return seconds_; }

 private:
  std::string parts_source() const;
  std::string source(const std::string& parts, bool cuda) const;
  /// The library for a device, opened; compiled where it is not kept from before.
  void* library(bool cuda);
  /// Returns where the library lies, which is nobody else's.
  std::string compile(const std::string& stem, bool cuda);

  std::vector<std::string> files_;
  std::vector<GateHeader> headers_;
  ModuleKernels kernels_;
  bool cuda_;
  double seconds_ = 0;
};

}  // namespace sllmr
