// Tests of error messages.
#pragma once

#include <string>

#include "kernels/exec/error.h"

namespace sllmr {

/// The message of the Error that `action` throws; "no error" when it throws none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace sllmr
