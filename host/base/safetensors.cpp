#include "host/base/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "host/base/atomic_file.h"
#include "host/base/json_text.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

// The file: this many bytes of header length, the header (JSON), the tensors without gaps.
constexpr std::size_t length_bytes = sizeof(std::uint64_t);
constexpr std::int64_t piece_bytes = 1 << 20;          // of a tensor of which not all is kept
constexpr std::uint64_t largest_header = 100'000'000;  // as the reference implementation allows

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array<DTypeInfo, 5> dtypes{{{DType::f32, "F32", 4},
                                           {DType::f64, "F64", 8},
                                           {DType::i32, "I32", 4},
                                           {DType::i64, "I64", 8},
                                           {DType::u8, "U8", 1}}};
const DTypeInfo& info(DType dtype) {
  return dtypes[static_cast<std::size_t>(dtype)];
}

// Bytes of a tensor; nothing for a negative extent or an overflow.
std::optional<std::size_t> bytes_of(DType dtype, const std::vector<std::int64_t>& shape) {
  std::size_t bytes = info(dtype).size;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes))
      return std::nullopt;
  }
  return bytes;
}

// The metadata key of the file's own checksum; to other readers of the format one more string.
constexpr const char* checksum_key = "crc32";
constexpr const char* metadata_key = "__metadata__";

/// Of the header, without the checksum, and then of the tensors' bytes in the order of the file.
class Checksum {
 public:
  explicit Checksum(const nlohmann::json& header) {
    const std::string text = header.dump();
    add(std::as_bytes(std::span(text)));
  }
  void add(std::span<const std::byte> bytes) {
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }
  std::string text() const { return fmt::format("{:08x}", crc_); }

 private:
  uLong crc_ = crc32_z(0, nullptr, 0);
};

constexpr std::string_view no_checksum = "00000000";

nlohmann::json header_of(const std::vector<const TensorSource*>& tensors,
                         const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  header[metadata_key] = metadata;
  std::size_t begin = 0;
  for (const TensorSource* tensor : tensors) {
    const std::size_t end = begin + *bytes_of(tensor->dtype, tensor->shape);
    header[tensor->name] = {
        {"dtype", info(tensor->dtype).name}, {"shape", tensor->shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  return header;
}

// A tensor of the header, not read yet.
struct Entry {
  std::string name;
  DType dtype;
  std::vector<std::int64_t> shape;
  std::size_t begin, end;
};

class Reader {
 public:
  Reader(const std::string& path, const SafetensorsUse& use)
      : path_(path), use_(use), in_(path, std::ios::binary) {
    require(in_.is_open(), fmt::format("cannot read {} '{}': {}", use.what, path, std::strerror(errno)));
    std::error_code error;
    file_bytes_ = std::filesystem::file_size(path, error);
    require(!error, fmt::format("cannot read {} '{}': {}", use.what, path, error.message()));
  }

  SafetensorsFile read(const ShardOf& shard_of) {
    SafetensorsFile file{path_, use_, {}, {}};
    nlohmann::json header = read_header();
    std::vector<Entry> entries;
    std::optional<std::string> stored;  // files of other programs have none
    try {
      if (header.contains(metadata_key) && header[metadata_key].contains(checksum_key)) {
        stored = header[metadata_key][checksum_key].get<std::string>();
        header[metadata_key].erase(checksum_key);
      }
      for (const auto& [name, value] : header.items()) {
        if (name == metadata_key) {
          file.metadata = value.get<std::map<std::string, std::string>>();
        } else {
          entries.push_back(parse_entry(name, value));
        }
      }
    } catch (const nlohmann::json::exception& error) {
      fail(error.what());
    }
    std::ranges::sort(entries, {}, [](const Entry& entry) { return std::pair(entry.begin, entry.end); });
    check_layout(entries);
    Checksum checksum(header);
    for (Entry& entry : entries) {
      const RowShard shard = shard_of ? shard_of(entry.name) : RowShard();
      StoredTensor tensor{std::move(entry.name), entry.dtype, std::move(entry.shape), {}};
      if (shard.is_whole() || tensor.shape.empty() || tensor.shape[0] < 1) {
        tensor.bytes.resize(entry.end - entry.begin);
        read_bytes(tensor.bytes.data(), tensor.bytes.size());
        checksum.add(tensor.bytes);
      } else {
        read_rows(shard, entry.end - entry.begin, tensor, checksum);
      }
      file.tensors.push_back(std::move(tensor));
    }
    if (stored && *stored != checksum.text()) {
      fail(fmt::format("its checksum is {}, but it says {}", checksum.text(), *stored));
    }
    return file;
  }

 private:
  [[noreturn]] void fail(const std::string& defect) const {
    throw Error(fmt::format("{} '{}' is damaged: {}; {}", use_.what, path_, defect, use_.mend));
  }

  void read_bytes(void* bytes, std::size_t count) {
    if (!in_.read(static_cast<char*>(bytes), static_cast<std::streamsize>(count))) fail("reading it failed");
  }

  /// Of a tensor of `bytes` the rows that `shard` keeps.
  void read_rows(const RowShard& shard, std::size_t bytes, StoredTensor& tensor, Checksum& checksum) {
    const std::int64_t rows = tensor.shape[0];
    if (rows > std::numeric_limits<Id>::max())
      fail(fmt::format("tensor '{}' has {} rows", tensor.name, rows));
    const std::size_t row = bytes / static_cast<std::size_t>(rows);
    tensor.shape[0] = shard.rows_of(static_cast<Id>(rows));
    tensor.bytes.resize(static_cast<std::size_t>(tensor.shape[0]) * row);
    const auto at_once = std::max<std::int64_t>(1, piece_bytes / static_cast<std::int64_t>(row + 1));
    std::vector<std::byte> piece;
    for (std::int64_t first = 0; first < rows; first += at_once) {
      const std::int64_t end = std::min(rows, first + at_once);
      piece.resize(static_cast<std::size_t>(end - first) * row);
      read_bytes(piece.data(), piece.size());
      checksum.add(piece);
      for (std::int64_t id = first; id < end; ++id) {
        if (id != 0 && !shard.owns(static_cast<Id>(id))) continue;
        std::copy_n(piece.data() + static_cast<std::size_t>(id - first) * row, row,
                    tensor.bytes.data() + static_cast<std::size_t>(shard.place(static_cast<Id>(id))) * row);
      }
    }
  }

  nlohmann::json read_header() {
    std::uint64_t length = 0;
    if (file_bytes_ < length_bytes) fail(fmt::format("it has {} bytes", file_bytes_));
    read_bytes(&length, sizeof length);
    if (length > largest_header || length > file_bytes_ - length_bytes) {
      fail(fmt::format("its header claims {} bytes, the file has {}", length, file_bytes_));
    }
    std::string text(length, '\0');
    read_bytes(text.data(), text.size());
    tensor_bytes_ = file_bytes_ - length_bytes - length;
    std::optional<nlohmann::json> header = parse_json(text);
    if (!header || !header->is_object()) fail("its header is not a JSON object, or nested too deep");
    return *std::move(header);
  }

  Entry parse_entry(const std::string& name, const nlohmann::json& value) const {
    const auto dtype_name = value.at("dtype").get<std::string>();
    const auto dtype = std::ranges::find(dtypes, dtype_name, &DTypeInfo::name);
    if (dtype == dtypes.end()) fail(fmt::format("tensor '{}' has the unsupported type {}", name, dtype_name));
    Entry entry{name, dtype->dtype, {}, 0, 0};
    for (const auto& extent : value.at("shape")) entry.shape.push_back(extent.get<std::int64_t>());
    const auto offsets = value.at("data_offsets").get<std::vector<std::size_t>>();
    if (offsets.size() != 2) fail(fmt::format("tensor '{}' has {} offsets, not 2", name, offsets.size()));
    entry.begin = offsets[0];
    entry.end = offsets[1];
    const auto bytes = bytes_of(entry.dtype, entry.shape);
    if (!bytes || entry.end < entry.begin || entry.end - entry.begin != *bytes) {
      fail(fmt::format("tensor '{}' of type {} and shape [{}] does not fit its offsets [{}, {}]", name,
                       dtype_name, fmt::join(entry.shape, ", "), entry.begin, entry.end));
    }
    return entry;
  }

  // The tensors, in order, fill the rest of the file.
  void check_layout(const std::vector<Entry>& entries) const {
    std::size_t end = 0;
    for (const Entry& entry : entries) {
      if (entry.begin != end)
        fail(fmt::format("tensor '{}' starts at {}, not {}", entry.name, entry.begin, end));
      end = entry.end;
    }
    if (end != tensor_bytes_) fail(fmt::format("its tensors need {} bytes, it holds {}", end, tensor_bytes_));
  }

  std::string path_;
  SafetensorsUse use_;
  std::ifstream in_;
  std::uint64_t file_bytes_ = 0, tensor_bytes_ = 0;
};

}  // namespace

const StoredTensor& SafetensorsFile::tensor(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &StoredTensor::name);
  require(found != tensors.end(),
          fmt::format("{} '{}' has no tensor '{}': {}", use.what, path, name, use.other));
  return *found;
}

const std::string& SafetensorsFile::meta(const std::string& key) const {
  const auto found = metadata.find(key);
  require(found != metadata.end(), fmt::format("{} '{}' has no metadata '{}'", use.what, path, key));
  return found->second;
}

void SafetensorsFile::throw_not_a_number(const std::string& key, const std::string& text) const {
  throw Error(
      fmt::format("{} '{}' is damaged: its {} is '{}', no number; {}", use.what, path, key, text, use.mend));
}

const StoredTensor& SafetensorsFile::checked(std::string_view name, DType dtype, std::size_t bytes) const {
  const StoredTensor& found = tensor(name);
  require(found.dtype == dtype && found.bytes.size() == bytes,
          fmt::format("{} '{}': tensor '{}' is {} [{}], expected {} values of {}: the data, the model or its "
                      "width changed",
                      use.what, path, name, info(found.dtype).name, fmt::join(found.shape, ", "),
                      bytes / info(dtype).size, info(dtype).name));
  return found;
}

void write_safetensors(const std::string& path, std::span<const TensorSource> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::set<std::string_view> names{metadata_key};
  std::vector<const TensorSource*> order;
  for (const TensorSource& tensor : tensors) {
    require(names.insert(tensor.name).second, fmt::format("two tensors are named '{}'", tensor.name));
    require(bytes_of(tensor.dtype, tensor.shape).has_value(),
            fmt::format("tensor '{}' has the shape [{}], which no memory has", tensor.name,
                        fmt::join(tensor.shape, ", ")));
    order.push_back(&tensor);
  }
  std::ranges::stable_sort(order, std::greater{}, [](const auto* t) { return info(t->dtype).size; });

  require(!metadata.contains(checksum_key), "the metadata key 'crc32' is the file's own");
  nlohmann::json header = header_of(order, metadata);
  Checksum checksum(header);
  header[metadata_key][checksum_key] = no_checksum;
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the first tensor starts on 8 bytes
  const std::uint64_t length = text.size();
  AtomicFile file(path);
  file.stream().write(reinterpret_cast<const char*>(&length), sizeof length);
  file.stream() << text;
  for (const TensorSource* tensor : order) {
    std::size_t bytes = 0;
    tensor->give([&](std::span<const std::byte> piece) {
      bytes += piece.size();
      checksum.add(piece);
      file.stream().write(reinterpret_cast<const char*>(piece.data()),
                          static_cast<std::streamsize>(piece.size()));
    });
    require(bytes == *bytes_of(tensor->dtype, tensor->shape),
            fmt::format("tensor '{}' has {} bytes, its shape [{}] of {} does not", tensor->name, bytes,
                        fmt::join(tensor->shape, ", "), info(tensor->dtype).name));
  }
  // No string of the header has this in it: its quotation marks would be escaped.
  const std::string before = fmt::format("\"{}\":\"", checksum_key);
  file.overwrite(length_bytes + text.find(before + std::string(no_checksum)) + before.size(),
                 checksum.text());
  file.commit();
}

void write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSource> sources;
  for (const TensorView& tensor : tensors) {
    sources.push_back({tensor.name, tensor.dtype, tensor.shape,
                       [&tensor](const TensorSource::Take& take) { take(tensor.bytes); }});
  }
  write_safetensors(path, sources, metadata);
}

SafetensorsFile read_safetensors(const std::string& path, const SafetensorsUse& use,
                                 const ShardOf& shard_of) {
  return Reader(path, use).read(shard_of);
}

}  // namespace sllmr
