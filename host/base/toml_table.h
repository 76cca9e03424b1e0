// A TOML table whose keys are known, read strictly: nothing that it says is left out.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/toml_text.h"

namespace sllmr {

/// All functions throw Error "<origin>:<line>: ..." where a key is missing or holds another type. Numbers are
/// not converted: only a list of double takes integers too.
class TomlTable {
 public:
  /// The table that `text` holds, see parse_toml(). Throws Error "<origin>:<line>: unknown key 'x'; did you
  /// mean 'y'?" for a key that is not in `keys`.
  TomlTable(std::string_view text, const std::string& origin, const std::vector<std::string>& keys);

  std::string text(const char* key) const;
  std::string text_or(const char* key, const std::string& otherwise) const;
  /// A string, or several in an array; none where the key is not there.
  std::vector<std::string> texts(const char* key) const;
  /// Of std::string, std::int64_t or double; empty where the key is not there.
  template <class Element>
  std::vector<Element> list(const char* key) const;
  /// The table [key], with the keys `keys`; nothing where the key is not there.
  std::optional<TomlTable> table(const char* key, const std::vector<std::string>& keys) const;
  /// The tables [[key]], in order, each with the keys `keys`; none where the key is not there.
  std::vector<TomlTable> tables(const char* key, const std::vector<std::string>& keys) const;

 private:
  TomlTable(std::shared_ptr<const toml::table> table, std::string origin,
            const std::vector<std::string>& keys);
  [[noreturn]] void fail(const toml::node& node, const std::string& message) const;

  std::shared_ptr<const toml::table> table_;  // shared, as a copy does not know its line
  std::string origin_;
};

}  // namespace sllmr
