// Checkpoints and vectors: named tensors and a string map in the safetensors format, readable from Python.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/exec/row_shard.h"

namespace sllmr {

enum class DType { f32, f64, i32, i64, u8 };

/// The DType of a C++ type; only the five of them compile.
template <class T>
constexpr DType dtype_of() {
  using Value = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<Value, float>) return DType::f32;
  if constexpr (std::is_same_v<Value, double>) return DType::f64;
  if constexpr (std::is_same_v<Value, std::int32_t>) return DType::i32;
  if constexpr (std::is_same_v<Value, std::int64_t>) return DType::i64;
  if constexpr (std::is_same_v<Value, std::uint8_t>) return DType::u8;
}

/// A tensor that somebody else owns; what is written.
struct TensorView {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // row-major, little-endian
};

/// A view of `values` under a shape whose product is their number.
template <class T>
TensorView tensor_view(std::string name, std::vector<std::int64_t> shape, std::span<const T> values) {
  return {std::move(name), dtype_of<T>(), std::move(shape), std::as_bytes(values)};
}

/// A tensor that comes piece by piece: give(take) calls take() with all its bytes, in their order.
struct TensorSource {
  using Take = std::function<void(std::span<const std::byte>)>;

  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::function<void(const Take& take)> give;
};

/// A tensor as it was read.
struct StoredTensor {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

/// What a file is for, as errors have it.
struct SafetensorsUse {
  std::string_view what = "checkpoint";
  std::string_view mend = "restore a copy, or delete it and train again";  // one that is damaged
  std::string_view other = "it is of another model or optimizer";          // one that lacks a tensor
};

/// A file in memory.
struct SafetensorsFile {
  std::string path;
  SafetensorsUse use;
  std::map<std::string, std::string> metadata;
  std::vector<StoredTensor> tensors;  // in the order of the file

  /// Throws Error naming path and tensor when there is none.
  const StoredTensor& tensor(std::string_view name) const;
  /// The value of a metadata key. Throws Error naming path and key when there is none.
  const std::string& meta(const std::string& key) const;

  /// The same as a number. Throws Error naming path and key where it is none.
  template <class Number>
  Number number(const std::string& key) const {
    const std::string& text = meta(key);
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) throw_not_a_number(key, text);
    return value;
  }

  /// Copies a tensor out. Throws Error naming path and tensor unless it has this type and `out.size()`
  /// values.
  template <class T>
  void copy_to(std::string_view name, std::span<T> out) const {
    const StoredTensor& found = checked(name, dtype_of<T>(), out.size_bytes());
    if (!out.empty()) std::memcpy(out.data(), found.bytes.data(), out.size_bytes());
  }

 private:
  [[noreturn]] void throw_not_a_number(const std::string& key, const std::string& text) const;
  const StoredTensor& checked(std::string_view name, DType dtype, std::size_t bytes) const;
};

/// Writes atomically and without a second copy of the tensors: the largest element types first, so that each
/// tensor is aligned to its type, else in their order. A checksum of header and tensors joins the metadata
/// under "crc32". Throws Error for a full disk, a shape that does not match its bytes, a name used twice,
/// metadata of that key.
void write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata);
void write_safetensors(const std::string& path, std::span<const TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata);

/// Which rows of a tensor of this name are kept.
using ShardOf = std::function<RowShard(const std::string& name)>;

/// Reads and validates, all of it, though tensors of which a rank keeps its own rows become a table of those
/// (kernels/exec/row_shard.h). Throws Error naming path, defect and remedy for a missing, truncated,
/// malformed or altered file. The checksum does not show in the metadata.
SafetensorsFile read_safetensors(const std::string& path, const SafetensorsUse& use = {},
                                 const ShardOf& shard_of = {});

}  // namespace sllmr
