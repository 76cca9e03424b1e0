// FNV-1a (Fowler, Noll and Vo; draft-eastlake-fnv). Its values are kept in files: hashes of data and of
// scores in summaries, checkpoints and tables' origins, the keys of answer caches and of batches. They also
// tell the initial draws of tables apart. So another hash would be another format, and other numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sllmr {

/// `Word`: std::uint32_t, std::uint64_t, or unsigned __int128 where two texts must not share a hash, which 64
/// bits do not rule out.
template <class Word>
class Fnv {
 public:
  void add_byte(std::uint8_t byte) { hash_ = (hash_ ^ byte) * kPrime; }
  void add_bytes(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) add_byte(std::to_integer<std::uint8_t>(byte));
  }
  void add_bytes(std::string_view text) { add_bytes(std::as_bytes(std::span(text))); }
  void add_token(std::string_view token) {
    add_bytes(token);
    add_byte(0);  // ends the token: "ab", "c" is not "a", "bc"
  }
  void add_number(std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) add_byte(static_cast<std::uint8_t>(number >> (8 * i)));
  }
  Word value() const { return hash_; }

 private:
  static constexpr Word of_size(std::uint32_t of_4, std::uint64_t of_8, unsigned __int128 of_16) {
    if constexpr (sizeof(Word) == 4) return of_4;
    if constexpr (sizeof(Word) == 8) return of_8;
    if constexpr (sizeof(Word) == 16) return of_16;
  }
  static constexpr unsigned __int128 wide(std::uint64_t high, std::uint64_t low) {
    return (static_cast<unsigned __int128>(high) << 64) + low;
  }
  static constexpr Word kPrime = of_size(0x01000193, 0x100000001B3, wide(0x1000000, 0x13B));

  Word hash_ = of_size(0x811C9DC5, 0xCBF29CE484222325, wide(0x6C62272E07BB0142, 0x62B821756295C58D));
};

}  // namespace sllmr
