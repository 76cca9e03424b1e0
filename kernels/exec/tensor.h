// Activations and gradients of layers: matrices whose memory comes from the context's pool.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/exec/memory.h"
#include "kernels/exec/not_copied.h"

namespace sllmr {

/// A matrix [rows x cols] on the context's device, row-major with `stride()` elements between rows. Copies
/// share the memory, which returns to the pool with the last of them. Elements start undefined. Must not
/// outlive its context.
template <class Real>
class Tensor {
 public:
  Tensor() = default;
  Tensor(const Context& context, std::int64_t rows, std::int64_t cols)
      : rows_(rows), cols_(cols), stride_(cols) {
    require(rows >= 0 && cols >= 0, "Tensor: a negative extent");
    const std::size_t bytes = size_product(rows, cols, sizeof(Real));
    if (bytes == 0) return;
    storage_ = std::make_shared<Storage>(context.pool(), bytes);
    data_ = static_cast<Real*>(storage_->memory);
  }
  static Tensor zeros(const Context& context, std::int64_t rows, std::int64_t cols) {
    Tensor out(context, rows, cols);
    if (out.size() != 0) fill_zero(context, out.data(), static_cast<std::size_t>(out.size()) * sizeof(Real));
    return out;
  }
  /// `values` [rows x cols], row-major.
  static Tensor from(const Context& context, std::int64_t rows, std::int64_t cols,
                     std::span<const Real> values) {
    require(values.size() == size_product(rows, cols), "Tensor::from: sizes differ");
    Tensor out(context, rows, cols);
    if (out.size() != 0) copy_to_device(context, out.data(), values.data(), values.size_bytes());
    return out;
  }

  Real* data() const { return data_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  std::int64_t stride() const { return stride_; }
  std::int64_t size() const { return rows_ * cols_; }
  bool contiguous() const { return stride_ == cols_ || rows_ <= 1; }

  /// Columns first .. first + count - 1 of the same memory.
  Tensor columns(std::int64_t first, std::int64_t count) const {
    require(first >= 0 && count >= 0 && first + count <= cols_, "Tensor::columns: out of range");
    Tensor out = *this;
    out.data_ += first;
    out.cols_ = count;
    return out;
  }
  /// Rows first .. first + count - 1 of the same memory.
  Tensor row_range(std::int64_t first, std::int64_t count) const {
    require(first >= 0 && count >= 0 && first + count <= rows_, "Tensor::row_range: out of range");
    Tensor out = *this;
    out.data_ += first * stride_;
    out.rows_ = count;
    return out;
  }
  /// The same contiguous memory as [rows x cols].
  Tensor reshaped(std::int64_t rows, std::int64_t cols) const {
    require(contiguous() && rows * cols == size(), "Tensor::reshaped: the number of elements differs");
    Tensor out = *this;
    out.rows_ = rows;
    out.cols_ = out.stride_ = cols;
    return out;
  }
  /// All elements, row by row; waits for the device. Only for contiguous tensors.
  std::vector<Real> to_host(const Context& context) const {
    require(contiguous(), "Tensor::to_host: the tensor is a slice of columns");
    std::vector<Real> host(static_cast<std::size_t>(size()));
    if (!host.empty()) copy_to_host(context, host.data(), data_, host.size() * sizeof(Real));
    return host;
  }

 private:
  struct Storage : NotCopied {
    Storage(MemoryPool& from, std::size_t least)
        : pool(from), bytes(MemoryPool::size_class(least)), memory(from.take(bytes)) {}
    ~Storage() { pool.give_back(memory, bytes); }
    MemoryPool& pool;
    std::size_t bytes;
    void* memory;
  };

  std::shared_ptr<Storage> storage_;
  Real* data_ = nullptr;
  std::int64_t rows_ = 0, cols_ = 0, stride_ = 0;
};

}  // namespace sllmr
