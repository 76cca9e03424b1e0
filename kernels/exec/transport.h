#pragma once

namespace sllmr {

/// How ranks send each other what lies on their devices. automatic: by NCCL where every rank has the library
/// and a GPU of its own, else by way of the host.
enum class Transport { automatic, nccl, host };

}  // namespace sllmr
