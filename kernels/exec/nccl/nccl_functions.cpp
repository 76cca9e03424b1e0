#include "kernels/exec/nccl/nccl_functions.h"

#if SLLMR_WITH_CUDA
#include <dlfcn.h>

#include <string>

#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr const char* kLibrary = "libnccl.so.2";

template <class Function>
void find(void* library, const char* name, Function& function) {
  void* found = dlsym(library, name);
  require(found != nullptr, std::string(kLibrary) + " has no " + name + ": it is older than 2.9");
  function = reinterpret_cast<Function>(found);
}

Nccl load() {
  void* library = dlopen(kLibrary, RTLD_NOW);
  if (library == nullptr) throw Error(std::string("no ") + kLibrary + " (" + dlerror() + ")");
  Nccl functions{};
  find(library, "ncclGetVersion", functions.get_version);
  find(library, "ncclGetUniqueId", functions.get_unique_id);
  find(library, "ncclCommInitRank", functions.comm_init_rank);
  find(library, "ncclCommDestroy", functions.comm_destroy);
  find(library, "ncclCommAbort", functions.comm_abort);
  find(library, "ncclCommGetAsyncError", functions.comm_get_async_error);
  find(library, "ncclGetErrorString", functions.error_string);
  find(library, "ncclGroupStart", functions.group_start);
  find(library, "ncclGroupEnd", functions.group_end);
  find(library, "ncclSend", functions.send);
  find(library, "ncclRecv", functions.receive);
  return functions;
}

}  // namespace

const Nccl& nccl() {
  static const Nccl functions = load();
  return functions;
}

}  // namespace sllmr
#endif
