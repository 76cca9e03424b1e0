#include "host/train/stored_buffers.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <variant>

#include "kernels/exec/communicator.h"

namespace sllmr {

namespace {

constexpr std::int64_t kPiece = 1 << 20;  // bytes that are on the host at once

/// Bytes first .. first + n - 1 of a buffer, on the host.
std::vector<std::byte> bytes_at(const Context& context, const void* memory, std::int64_t first,
                                std::int64_t n) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(n));
  if (n != 0)
    copy_to_host(context, bytes.data(), static_cast<const std::byte*>(memory) + first, bytes.size());
  return bytes;
}

template <class Function>
void with_memory(const NamedBuffer& named, const Function& function) {
  std::visit(
      [&](const auto* buffer) {
        using Value = std::remove_cvref_t<decltype(*buffer->data())>;
        function(buffer->data(), static_cast<std::int64_t>(buffer->size()), std::type_identity<Value>());
      },
      named.buffer);
}

void give_whole(const Context& context, const void* memory, std::int64_t bytes,
                const TensorSource::Take& take) {
  for (std::int64_t first = 0; first < bytes; first += kPiece)
    take(bytes_at(context, memory, first, std::min(kPiece, bytes - first)));
}

/// All ranks at once; `take` is the first one's. A piece is the same ids on all ranks, of which each has the
/// places from that of its first on.
void give_rows(const Context& context, const NamedBuffer& named, const void* memory, std::int64_t row,
               const TensorSource::Take& take) {
  Communicator& ranks = context.ranks();
  const std::int64_t rows = named.shape[0], at_once = std::max<std::int64_t>(1, kPiece / row);
  if (ranks.rank() == 0) take(bytes_at(context, memory, 0, row));  // the padding
  std::vector<std::byte> received, ordered;
  for (std::int64_t first = 1; first < rows; first += at_once) {
    const std::int64_t end = std::min(rows, first + at_once);
    /// Where rank r's rows of the piece begin at its places, and how many they are.
    const auto share = [&](int r) {
      const RowShard of{r, ranks.size()};
      const std::int64_t begin = of.rows_of(static_cast<Id>(first));
      return std::pair(begin, of.rows_of(static_cast<Id>(end)) - begin);
    };
    std::vector<std::int64_t> sent(static_cast<std::size_t>(ranks.size())), got(sent.size());
    const auto [begin, count] = share(ranks.rank());
    sent[0] = count * row;
    if (ranks.rank() == 0) {
      for (std::size_t r = 0; r < got.size(); ++r) got[r] = share(static_cast<int>(r)).second * row;
      received.resize(static_cast<std::size_t>((end - first) * row));
      ordered.resize(received.size());
    }
    const std::vector<std::byte> own = bytes_at(context, memory, begin * row, count * row);
    ranks.all_to_all_v(own.data(), sent, received.data(), got);
    if (ranks.rank() != 0) continue;
    const std::byte* from = received.data();
    for (int r = 0; r < ranks.size(); ++r) {
      const auto [places, n] = share(r);
      const RowShard of{r, ranks.size()};
      for (std::int64_t k = 0; k < n; ++k, from += row) {
        const std::int64_t id = of.id_at(static_cast<Id>(places + k));
        std::memcpy(ordered.data() + (id - first) * row, from, static_cast<std::size_t>(row));
      }
    }
    take(ordered);
  }
}

void give(const Context& context, const NamedBuffer& named, const TensorSource::Take& take) {
  with_memory(named, [&]<class Value>(const void* memory, std::int64_t size, std::type_identity<Value>) {
    const auto bytes = size * static_cast<std::int64_t>(sizeof(Value));
    if (named.shard.is_whole()) return give_whole(context, memory, bytes, take);
    give_rows(context, named, memory, bytes / named.shard.rows_of(static_cast<Id>(named.shape[0])), take);
  });
}

}  // namespace

std::vector<TensorSource> tensor_sources(const Context& context, std::span<const NamedBuffer> buffers) {
  std::vector<TensorSource> sources;
  for (const NamedBuffer& named : buffers) {
    with_memory(named, [&]<class Value>(const void*, std::int64_t, std::type_identity<Value>) {
      sources.push_back({named.name, dtype_of<Value>(), named.shape,
                         [&](const TensorSource::Take& take) { give(context, named, take); }});
    });
  }
  return sources;
}

void send_rows(const Context& context, std::span<const NamedBuffer> buffers) {
  // In the order of the file: numbers of rows are all of one size.
  for (const NamedBuffer& named : buffers) {
    if (!named.shard.is_whole()) give(context, named, {});
  }
}

}  // namespace sllmr
