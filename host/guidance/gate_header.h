// A user's header with a gate part, as far as it must be known to compile it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sllmr {

/// What a header may define, and where.
struct GateHeaderKind {
  const char* base;   // of the struct
  const char* space;  // namespace
  const char* list;   // macro of kernels/gates/module/library.h
};
inline constexpr GateHeaderKind kGateHeaderKinds[] = {
    {"GateRule", "sllmr::gates", "SLLMR_MORE_RULES"},
    {"GateObjective", "sllmr::objectives", "SLLMR_MORE_OBJECTIVES"},
    {"GatePenalty", "sllmr::penalties", "SLLMR_MORE_PENALTIES"}};

/// A user's header.
struct GateHeader {
  std::string path;  // absolute
  const GateHeaderKind* kind;
  std::string type;  // with its namespace
};
/// Throws Error for a file that cannot be read, and where it does not define one part.
GateHeader read_gate_header(const std::string& path);
/// Of what stands in the files, and in the headers that they include from beside them; 0 for no file.
std::uint64_t hash_of_gate_headers(const std::vector<std::string>& files);

}  // namespace sllmr
