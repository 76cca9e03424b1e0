// Errors of every layer. A message says what is wrong, where, and what to do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace sllmr {

/// Thrown for bad input, bad configuration and failed device calls; the CLI prints what() and exits with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error with `message` unless `condition` holds. For preconditions of public functions.
inline void require(bool condition, const char* message) {
  if (!condition) throw Error(message);
}
inline void require(bool condition, const std::string& message) {
  if (!condition) throw Error(message);
}

}  // namespace sllmr
