// The part of NCCL 2 that is used here, as its header is not there wherever this is built.
#pragma once

#if SLLMR_WITH_CUDA
#include <cuda_runtime.h>

#include <cstddef>

namespace sllmr {

using NcclComm = struct ncclComm*;  // ncclComm_t
struct NcclId {                     // ncclUniqueId
  char internal[128];
};
inline constexpr int kNcclBytes = 0;  // ncclInt8 of ncclDataType_t

/// Its functions; each returns ncclResult_t, 0 for success.
struct Nccl {
  int (*get_version)(int* version);
  int (*get_unique_id)(NcclId* id);
  int (*comm_init_rank)(NcclComm* comm, int ranks, NcclId id, int rank);
  int (*comm_destroy)(NcclComm comm);
  int (*comm_abort)(NcclComm comm);
  int (*comm_get_async_error)(NcclComm comm, int* status);
  const char* (*error_string)(int status);
  int (*group_start)();
  int (*group_end)();
  int (*send)(const void* from, std::size_t count, int type, int peer, NcclComm comm, cudaStream_t stream);
  int (*receive)(void* to, std::size_t count, int type, int peer, NcclComm comm, cudaStream_t stream);
};

/// Throws Error where libnccl.so.2 is not found, or lacks a function.
const Nccl& nccl();

}  // namespace sllmr
#endif
