// Gate parts from a user's header, compiled when a run begins: gate.rule=path/to/rule.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config.h"
#include "kernels/gates/module/module.h"

namespace sllmr {

/// A header rather than the name of a registered part?
bool is_gate_file(std::string_view word);
/// Those that gate.rule, gate.objective and llm.penalty name, each once, where the method reads these keys.
std::vector<std::string> gate_files(const Config& config);
/// Of what stands in them, and in the headers that they include from beside them; 0 where there are none.
/// Throws Error for one that cannot be read.
std::uint64_t gate_files_hash(const Config& config);

/// The parts of a run: registered ones, and behind them those of gate_files(), whose module
/// (kernels/gates/module/module.h) is compiled by the system's compiler (CXX, or the one of this program)
/// and, with device=cuda, nvcc: once for what stands in the files, this program and the run's kernels, kept
/// in $XDG_CACHE_HOME/sllmr/gates (~/.cache), and tried out before its first use. Throws Error for a file
/// that does not compile, with what the compiler says of it, for a part that fails its trial, and where there
/// is no compiler; Interrupted for Ctrl-C while it compiles.
struct GateParts {
  const std::vector<GatePart>*rules, *objectives, *penalties;
};
GateParts gate_parts_of(const Config& config);
/// The part of one of these lists that a word of the configuration names: by name, or as the header that was
/// added. Null for an unknown name.
const GatePart* find_gate_part_of(const std::vector<GatePart>& parts, const std::string& word);
/// Puts registered parts in the place of headers: for what needs no gate, wherever these are.
void forget_gate_files(Config& config);

/// What the trial of one header's part has shown, and the seconds that compiling it took; 0 where it was
/// kept.
struct GateCheck {
  std::vector<GateTrial> trials;
  double seconds = 0;
};
/// Compiles a header without kernels and tries its parts out. Throws Error as
/// gate_parts_of() does, but for a failed trial.
GateCheck check_gate_file(const std::string& path);

}  // namespace sllmr
