// Names for the device memory that a checkpoint keeps.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kernels/exec/memory.h"

namespace sllmr {

/// A parameter or a piece of optimiser state; the model owns the buffer.
struct NamedBuffer {
  std::string name;
  std::vector<std::int64_t> shape;  // its product is the buffer's size
  std::variant<Buffer<float>*, Buffer<double>*, Buffer<std::int32_t>*> buffer;
};

}  // namespace sllmr
