#include "host/data/python_literal.h"

#include <cctype>

namespace sllmr {
namespace {

/// Appends the string that begins at `text[k]`, a quote, in JSON's spelling; returns the position behind it.
std::size_t append_string(std::string_view text, std::size_t k, std::string& json) {
  const char quote = text[k++];
  json += '"';
  for (;; ++k) {
    const std::size_t plain = k;
    while (k < text.size() && text[k] != quote && text[k] != '"' && text[k] != '\\') ++k;
    json.append(text, plain, k - plain);
    if (k == text.size() || text[k] == quote) break;
    const char c = text[k];
    if (c == '"') {
      json += "\\\"";
    } else if (k + 1 == text.size()) {
      json += c;
    } else if (const char escaped = text[++k]; escaped == '\'') {
      json += '\'';
    } else if (escaped == 'x') {
      json += "\\u00";
    } else if (std::string_view("\"\\/bfnrtu").find(escaped) != std::string_view::npos) {
      json += {'\\', escaped};
    } else {
      json += {'\\', '\\', escaped};  // Python, too, keeps the backslash of an unknown escape
    }
  }
  if (k < text.size()) json += '"';
  return k + 1;
}

}  // namespace

std::string python_to_json(std::string_view python) {
  std::string json;
  json.reserve(python.size() + python.size() / 16);
  for (std::size_t k = 0; k < python.size();) {
    const char c = python[k];
    if (c == '\'' || c == '"') {
      k = append_string(python, k, json);
    } else if (std::isalpha(static_cast<unsigned char>(c))) {
      std::size_t end = k;
      while (end < python.size() && std::isalpha(static_cast<unsigned char>(python[end]))) ++end;
      const std::string_view word = python.substr(k, end - k);
      if (word == "None")
        json += "null";
      else if (word == "True")
        json += "true";
      else if (word == "False")
        json += "false";
      else if (word != "u" || end == python.size() || (python[end] != '\'' && python[end] != '"'))
        json += word;
      k = end;
    } else {
      json += c;
      ++k;
    }
  }
  return json;
}

}  // namespace sllmr
