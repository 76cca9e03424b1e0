// Types and macros that host and device code share.
#pragma once

#include <cstdint>
#include <type_traits>

#if defined(__CUDACC__)
#define SLLMR_HD __host__ __device__
#else
#define SLLMR_HD
#endif

namespace sllmr {

/// Dense id of a user, item or attribute. 0 is padding ("none"); real ids start at 1.
using Id = std::int32_t;

enum class Device { cpu, cuda };

/// Tags of the Kernel which the C++ compiler (OnCpu) or nvcc (OnCuda) made of a kernel's source file.
using OnCpu = std::integral_constant<Device, Device::cpu>;
using OnCuda = std::integral_constant<Device, Device::cuda>;

}  // namespace sllmr
