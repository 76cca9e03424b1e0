// Texts of files, which may hold bytes that are no UTF-8.
#pragma once

#include <nanobind/nanobind.h>

#include <string_view>

namespace sllmr::python {

/// To be read: what is no UTF-8 is a replacement character.
inline nanobind::object shown(std::string_view text) {
  return nanobind::steal(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}
/// To be told apart and written again: such bytes are surrogates, as in Python's names of files.
inline nanobind::object named(std::string_view text) {
  return nanobind::steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
}

}  // namespace sllmr::python
