#include "host/ask/redact.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "host/base/json_text.h"
#include "host/base/lower_case.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr std::size_t kGram = 8;
static_assert(kGram == kShortestRedactedKey);
constexpr int kLayers = 3;  // of escapes
// Characters in a row that give a form away: all of them stand for 7 bytes of the key or more.
constexpr std::array<std::size_t, 3> kShortestRun = {kGram, 10, 16};
// Long texts are searched by blocks, so that memory does not grow with them. A block looks as far beyond its
// end as a piece that begins in it can reach: 16 characters, each escaped three times.
constexpr std::size_t kBlock = std::size_t{1} << 18, kOverlap = 4096;

std::size_t bucket_of(std::uint64_t gram) {
  return static_cast<std::size_t>(gram * 0x9E3779B97F4A7C15U >> 48U);
}

std::string hex_of(std::string_view bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) hex += {kDigits[static_cast<unsigned char>(c) >> 4U], kDigits[c & 0xF]};
  return hex;
}

/// The characters of base64 that depend on `bytes` alone where they begin `shift` bytes behind a group of
/// three.
std::string base64_of(std::string_view bytes, std::size_t shift, std::string_view last_two) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string text;
  const std::string padded = std::string(shift, '\0') + std::string(bytes);
  const auto bit = [&](std::size_t k) {
    return static_cast<unsigned>(static_cast<unsigned char>(padded[k / 8])) >> (7 - k % 8) & 1U;
  };
  for (std::size_t at = (8 * shift + 5) / 6 * 6; at + 6 <= 8 * padded.size(); at += 6) {
    std::size_t digit = 0;
    for (std::size_t k = at; k < at + 6; ++k) digit = 2 * digit + bit(k);
    text += digit < kDigits.size() ? kDigits[digit] : last_two[digit - kDigits.size()];
  }
  return text;
}

/// A character of an escaped text: its byte (0xFF for what no key holds) and the bytes that spell it.
struct Escape {
  char byte;
  std::size_t length;
};

std::optional<unsigned> number(std::string_view digits, int base) {
  unsigned value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, value, base);
  if (digits.empty() || error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

char byte_of(unsigned code) {
  return code < 0x80 ? static_cast<char>(code) : '\xFF';
}

std::optional<Escape> escape_at(std::string_view text) {
  const auto digits = [&](std::size_t at, std::size_t count) -> std::optional<Escape> {
    if (text.size() < at + count) return std::nullopt;
    const auto code = number(text.substr(at, count), 16);
    return code ? std::optional(Escape{byte_of(*code), at + count}) : std::nullopt;
  };
  if (text[0] == '%') return digits(1, 2);
  if (text[0] == '\\' && text.size() > 1) {
    if (text[1] == 'u') return digits(2, 4);
    if (text[1] == 'x') return digits(2, 2);
    return Escape{text[1], 2};
  }
  if (text[0] == '&') {
    constexpr std::size_t kLongest = 10;
    const auto end = text.substr(0, kLongest).find(';');
    if (end == text.npos) return std::nullopt;
    const std::string_view name = text.substr(1, end - 1);
    for (const auto& [known, byte] : {std::pair<std::string_view, char>{"amp", '&'},
                                      {"lt", '<'},
                                      {"gt", '>'},
                                      {"quot", '"'},
                                      {"apos", '\''},
                                      {"sol", '/'}}) {
      if (name == known) return Escape{byte, end + 1};
    }
    if (!name.starts_with('#')) return std::nullopt;
    const bool hex = name.size() > 1 && lower_case(name[1]) == 'x';
    const auto code = number(name.substr(hex ? 2 : 1), hex ? 16 : 10);
    return code ? std::optional(Escape{byte_of(*code), end + 1}) : std::nullopt;
  }
  return std::nullopt;
}

/// Not find_first_of(), which calls memchr for every byte.
bool may_be_escaped(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c == '%' || c == '\\' || c == '&'; });
}

/// Takes one layer of escapes off, within `text`. `begins` has the offset in the source of each character,
/// and the source's end. Returns whether there was an escape.
bool unescape(std::string& text, std::vector<std::uint32_t>& begins) {
  if (!may_be_escaped(text)) return false;
  std::size_t out = 0;
  bool any = false;
  for (std::size_t k = 0; k < text.size(); ++out) {
    const auto escape = escape_at(std::string_view(text).substr(k));
    any = any || escape;
    text[out] = escape ? escape->byte : text[k];
    begins[out] = begins[k];
    k += escape ? escape->length : 1;
  }
  begins[out] = begins.back();
  begins.resize(out + 1);
  text.resize(out);
  return any;
}

}  // namespace

Redactor::Redactor(const std::string& key) {
  if (key.size() < kShortestRedactedKey) return;
  add(key, plain);
  add(hex_of(key), hexadecimal);
  for (std::size_t shift = 0; shift < 3; ++shift) {
    for (const char* last_two : {"+/", "-_"}) add(base64_of(key, shift, last_two), base64);
  }
  // Its first and last bytes are none of the key's, so that it cannot complete a piece of the key.
  replacement_ = key.find_first_of("[]") == key.npos ? "[key]" : "\u00ABkey\u00BB";
}

void Redactor::add(std::string_view spelling, Form form) {
  std::uint64_t gram = 0;
  for (std::size_t k = 0; k < spelling.size(); ++k) {
    gram = gram << 8U | static_cast<unsigned char>(lower_case(spelling[k]));
    if (k + 1 < kGram) continue;
    grams_[gram] |= static_cast<std::uint8_t>(1U << form);
    maybe_.set(bucket_of(gram));
  }
}

std::uint8_t Redactor::forms_of(std::uint64_t gram) const {
  const auto found = grams_.find(gram);
  return found == grams_.end() ? std::uint8_t{0} : found->second;
}

void Redactor::mark_layer(std::string_view layer, const std::vector<std::uint32_t>& begins,
                          std::size_t offset, std::vector<bool>& marked) const {
  std::array<std::size_t, forms> hits{};
  bool running = false;  // whether a form has hits
  std::uint64_t gram = 0;
  const auto source = [&](std::size_t k) { return offset + (begins.empty() ? k : begins[k]); };
  for (std::size_t k = 0; k < layer.size(); ++k) {
    gram = gram << 8U | static_cast<unsigned char>(lower_case(layer[k]));
    if (k + 1 < kGram) continue;
    const std::uint8_t found = maybe_[bucket_of(gram)] ? forms_of(gram) : std::uint8_t{0};
    if (found == 0 && !running) continue;
    running = found != 0;
    for (std::size_t form = 0; form < forms; ++form) {
      hits[form] = (found >> form & 1U) != 0 ? hits[form] + 1 : 0;
      const std::size_t run = hits[form] + kGram - 1, shortest = kShortestRun[form];
      if (hits[form] == 0 || run < shortest) continue;
      const std::size_t first = run == shortest ? k + 1 - run : k;
      const std::size_t end = source(k + 1);
      if (marked.size() < end) marked.resize(end);
      std::fill(marked.begin() + static_cast<std::ptrdiff_t>(source(first)),
                marked.begin() + static_cast<std::ptrdiff_t>(end), true);
    }
  }
}

std::vector<bool> Redactor::find(std::string_view text) const {
  std::vector<bool> marked;
  if (grams_.empty()) return marked;
  std::string layer;
  std::vector<std::uint32_t> begins;
  for (std::size_t offset = 0; offset < text.size(); offset += kBlock) {
    const std::string_view block = text.substr(offset, kBlock + kOverlap);
    mark_layer(block, {}, offset, marked);
    if (!may_be_escaped(block)) continue;
    layer = block;
    begins.resize(block.size() + 1);
    for (std::size_t k = 0; k <= block.size(); ++k) begins[k] = static_cast<std::uint32_t>(k);
    for (int depth = 0; depth < kLayers && unescape(layer, begins); ++depth) {
      mark_layer(layer, begins, offset, marked);
    }
  }
  return marked;
}

std::string Redactor::text(std::string text) const {
  std::vector<bool> marked = find(text);
  if (marked.empty()) return text;
  marked.resize(text.size());
  std::string redacted;
  for (std::size_t k = 0; k < text.size(); ++k) {
    if (!marked[k]) {
      redacted += text[k];
    } else if (k == 0 || !marked[k - 1]) {
      redacted += replacement_;
    }
  }
  return redacted;
}

std::string Redactor::body(std::string body) const {
  if (!occurs_in(body)) return body;
  std::optional<json> document = parse_json(body, kMostReplyValues);
  if (!document) return text(std::move(body));
  std::vector<json*> open = {&*document};
  while (!open.empty()) {
    json& value = *open.back();
    open.pop_back();
    if (value.is_structured()) {
      for (json& element : value) open.push_back(&element);
    } else if (value.is_string()) {
      value = text(value.get<std::string>());
    } else if (value.is_number_integer() && occurs_in(value.dump())) {
      value = replacement_;
    }
  }
  return json_text(*document);
}

}  // namespace sllmr
