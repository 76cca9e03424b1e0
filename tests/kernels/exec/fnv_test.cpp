// FNV-1a against the values that its authors publish, as files keep what it gives.
#include "kernels/exec/fnv.h"

#include <gtest/gtest.h>

namespace sllmr {
namespace {

template <class Word>
Word hash_of(std::string_view text) {
  Fnv<Word> fnv;
  fnv.add_bytes(text);
  return fnv.value();
}

TEST(Fnv, GivesItsAuthorsValues) {
  EXPECT_EQ(hash_of<std::uint32_t>(""), 0x811C9DC5U);
  EXPECT_EQ(hash_of<std::uint32_t>("a"), 0xE40C292CU);
  EXPECT_EQ(hash_of<std::uint32_t>("foobar"), 0xBF9CF968U);
  EXPECT_EQ(hash_of<std::uint64_t>(""), 0xCBF29CE484222325U);
  EXPECT_EQ(hash_of<std::uint64_t>("a"), 0xAF63DC4C8601EC8CU);
  EXPECT_EQ(hash_of<std::uint64_t>("foobar"), 0x85944171F73967E8U);
  const unsigned __int128 wide = hash_of<unsigned __int128>("foobar");
  EXPECT_EQ(static_cast<std::uint64_t>(wide >> 64), 0x343E1662793C64BFU);
  EXPECT_EQ(static_cast<std::uint64_t>(wide), 0x6F0D3597BA446F18U);
}

TEST(Fnv, TokensAndNumbersAreTheirBytes) {
  Fnv<std::uint64_t> parts;
  parts.add_token("ab");
  parts.add_number(0x030201, 3);
  EXPECT_EQ(parts.value(), hash_of<std::uint64_t>(std::string_view("ab\0\1\2\3", 6)));
  Fnv<std::uint64_t> one, other;
  one.add_token("ab"), one.add_token("c");
  other.add_token("a"), other.add_token("bc");
  EXPECT_NE(one.value(), other.value());
}

}  // namespace
}  // namespace sllmr
