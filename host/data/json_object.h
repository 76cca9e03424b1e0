// The object in a line of a JSON-lines file, as importers read it: by a few of its keys.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/exec/not_copied.h"

namespace sllmr {

/// One object after another: memory is used again. Of a key that is there twice the last value counts.
class JsonObject : NotCopied {
 public:
  enum class Kind { none, null, text, integer, real, truth, list, object };  // none: there is no such key

  JsonObject();
  ~JsonObject();

  /// Takes the object that `line` holds in JSON, or as Python prints dictionaries. False for anything else,
  /// and where it is nested deeper than kDeepestJson (host/base/json_text.h); empty lists and objects are no
  /// level.
  bool parse(std::string_view line);
  /// Its keys, sorted.
  std::vector<std::string> keys() const;

  /// The number by which the value of `key` is asked for, of this object and of those to come.
  std::size_t column(const std::string& key);
  Kind kind(std::size_t column) const;
  /// What a string says, and any other value in JSON; "" for null and where there is none. Valid until the
  /// next parse().
  std::string_view text(std::size_t column) const;
  /// The string, or those in a list and the lists in it; numbers and truth values are written out, null and
  /// objects passed over.
  std::vector<std::string> words(std::size_t column) const;

 private:
  struct Parsed;
  void find_columns();

  std::unique_ptr<Parsed> parsed_;
};

}  // namespace sllmr
