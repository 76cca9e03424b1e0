#include "kernels/exec/cublas.h"

#if SLLMR_WITH_CUDA
#include <dlfcn.h>

#include <string>

#include "kernels/exec/error.h"

// A name as text, after what cublas_v2.h makes of it.
#define SLLMR_TEXT_OF(name) #name
#define SLLMR_TEXT(name) SLLMR_TEXT_OF(name)
#define SLLMR_CUBLAS(name) function_of<decltype(&name)>(library, SLLMR_TEXT(name))

namespace sllmr {
namespace {

constexpr const char* kLibrary = "libcublas.so." SLLMR_TEXT(CUBLAS_VER_MAJOR);

template <class Function>
Function function_of(void* library, const char* name) {
  void* found = dlsym(library, name);
  require(found != nullptr, std::string(kLibrary) + " has no " + name + ": install that of CUDA " +
                                SLLMR_TEXT(CUBLAS_VER_MAJOR) + ", or use device=cpu");
  return reinterpret_cast<Function>(found);
}

Cublas load() {
  void* library = dlopen(kLibrary, RTLD_NOW);
  if (library == nullptr) {
    throw Error("device=cuda needs cuBLAS, which cannot be loaded (" + std::string(dlerror()) +
                "): install CUDA's libraries, or use device=cpu");
  }
  return {.create = SLLMR_CUBLAS(cublasCreate),
          .destroy = SLLMR_CUBLAS(cublasDestroy),
          .set_stream = SLLMR_CUBLAS(cublasSetStream),
          .set_workspace = SLLMR_CUBLAS(cublasSetWorkspace),
          .sgemm = SLLMR_CUBLAS(cublasSgemm),
          .dgemm = SLLMR_CUBLAS(cublasDgemm),
          .status_string = SLLMR_CUBLAS(cublasGetStatusString)};
}

}  // namespace

const Cublas& cublas() {
  static const Cublas functions = load();
  return functions;
}

}  // namespace sllmr
#endif
