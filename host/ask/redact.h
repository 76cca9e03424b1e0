// Taking a key out of what a server sent, whatever spelling the server gave it.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sllmr {

/// Shorter keys are not looked for: ordinary text is full of them.
inline constexpr std::size_t kShortestRedactedKey = 8;

/// Replaces a key, and every piece of it of 8 or more characters, by "[key]". Found in any letter case; as it
/// is or escaped as in JSON, URLs or HTML (escapes of escapes too, three deep); in base64 and in hexadecimal.
/// Time is linear in the text; what was replaced is not looked at again.
class Redactor {
 public:
  /// Does nothing for a key that is empty or shorter than kShortestRedactedKey.
  explicit Redactor(const std::string& key);

  std::string text(std::string text) const;
  /// The body of a reply. Of JSON the strings and integers; the names stay, for they are the protocol's. A
  /// body without the key stays as it is, byte for byte.
  std::string body(std::string body) const;

 private:
  enum Form : std::uint8_t { plain, base64, hexadecimal, forms };

  void add(std::string_view spelling, Form form);
  std::uint8_t forms_of(std::uint64_t gram) const;
  void mark_layer(std::string_view layer, const std::vector<std::uint32_t>& begins, std::size_t offset,
                  std::vector<bool>& marked) const;
  /// By byte of `text`: is it part of the key? Empty where nothing is.
  std::vector<bool> find(std::string_view text) const;
  bool occurs_in(std::string_view text) const { return !find(text).empty(); }

  std::unordered_map<std::uint64_t, std::uint8_t> grams_;  // 8 bytes of a spelling: its forms, as bits
  std::bitset<std::size_t{1} << 16> maybe_;                // whether a gram of this hash exists
  std::string replacement_;
};

}  // namespace sllmr
