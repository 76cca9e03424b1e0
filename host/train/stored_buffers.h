// Named device memory on its way into a checkpoint.
#pragma once

#include <span>
#include <vector>

#include "host/base/safetensors.h"
#include "models/named_buffer.h"

namespace sllmr {

/// The tensors of `buffers`, which must outlive them, for write_safetensors() by the first rank. Those whose
/// rows several ranks share out are brought together piece by piece, for which the others call send_rows().
std::vector<TensorSource> tensor_sources(const Context& context, std::span<const NamedBuffer> buffers);
void send_rows(const Context& context, std::span<const NamedBuffer> buffers);

}  // namespace sllmr
