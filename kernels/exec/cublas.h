// cuBLAS, loaded when a device is first used: that takes .1 s and 200 MiB, and a program that stays on the
// CPU runs where there is none. Only kernels/exec includes this.
#pragma once

#if SLLMR_WITH_CUDA
#include <cublas_v2.h>

namespace sllmr {

/// Its functions that are used here.
struct Cublas {
  decltype(&cublasCreate) create;
  decltype(&cublasDestroy) destroy;
  decltype(&cublasSetStream) set_stream;
  decltype(&cublasSetWorkspace) set_workspace;
  decltype(&cublasSgemm) sgemm;
  decltype(&cublasDgemm) dgemm;
  decltype(&cublasGetStatusString) status_string;
};

/// Throws Error where the library is not found, or lacks a function.
const Cublas& cublas();

}  // namespace sllmr
#endif
