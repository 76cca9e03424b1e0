// 64-bit FNV-1a over what data are made of: numbers and tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sllmr {

class Fnv {
 public:
  void add_byte(std::uint8_t byte) { hash_ = (hash_ ^ byte) * 0x100000001b3u; }
  void add_bytes(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) add_byte(std::to_integer<std::uint8_t>(byte));
  }
  void add_token(std::string_view token) {
    for (const char c : token) add_byte(static_cast<std::uint8_t>(c));
    add_byte(0);  // ends the token: "ab", "c" is not "a", "bc"
  }
  void add_number(std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) add_byte(static_cast<std::uint8_t>(number >> (8 * i)));
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace sllmr
