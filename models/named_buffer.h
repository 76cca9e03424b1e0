// Names for the device memory that a checkpoint keeps.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kernels/exec/memory.h"
#include "kernels/exec/row_shard.h"

namespace sllmr {

/// A parameter or a piece of optimiser state; the model owns the buffer.
struct NamedBuffer {
  std::string name;
  std::vector<std::int64_t> shape;  // of all ranks; its product is the buffer's size where rows are whole
  std::variant<Buffer<float>*, Buffer<double>*, Buffer<std::int32_t>*> buffer;
  RowShard shard = {};  // which rows the buffer has
};

}  // namespace sllmr
