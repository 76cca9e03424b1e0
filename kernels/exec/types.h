// Types and macros that host and device code share.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define SLLMR_HD __host__ __device__
#else
#define SLLMR_HD
#endif

namespace sllmr {

/// Dense id of a user, item or attribute. 0 is padding ("none"); real ids start at 1.
using Id = std::int32_t;

enum class Device { cpu, cuda };

}  // namespace sllmr
