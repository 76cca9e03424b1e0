#include "host/base/utf8.h"

#include <cstdint>

namespace sllmr {

bool is_utf8(std::string_view text) {
  std::uint32_t code = 0, smallest = 0;
  int missing = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (missing > 0) {
      if ((byte & 0xC0) != 0x80) return false;
      code = code << 6 | (byte & 0x3Fu);
      const bool surrogate = code >= 0xD800 && code < 0xE000;
      if (--missing == 0 && (code < smallest || surrogate || code > 0x10FFFF)) return false;
    } else if (byte >= 0x80) {
      if (byte < 0xC0 || byte > 0xF7) return false;
      missing = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
      code = byte & (0x3Fu >> missing);
      smallest = missing == 1 ? 0x80 : missing == 2 ? 0x800 : 0x10000;
    }
  }
  return missing == 0;
}

}  // namespace sllmr
