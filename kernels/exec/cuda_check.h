// Checked CUDA and cuBLAS calls. Only kernels/exec includes this.
#pragma once

#if SLLMR_WITH_CUDA
#include <cuda_runtime.h>

#include <string>

#include "kernels/exec/cublas.h"
#include "kernels/exec/error.h"

namespace sllmr {

inline void cuda_check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clears it, so that the next check does not report it again
  throw Error(std::string(file) + ":" + std::to_string(line) + ": " + call +
              " failed: " + cudaGetErrorString(status));
}
inline void cuda_check(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string(file) + ":" + std::to_string(line) + ": " + call +
              " failed: " + cublas().status_string(status));
}

}  // namespace sllmr

#define SLLMR_CUDA_CHECK(call) ::sllmr::cuda_check((call), #call, __FILE__, __LINE__)
#endif
