#include <exception>

#include "core/bindings.h"
#include "core/text.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  module.doc() = "What the package sllmr is made of; use the package.";
  nb::set_leak_warnings(false);  // of an interpreter that a signal ends there are always some
  const nb::exception<sllmr::Error> type(module, "Error", PyExc_ValueError);
  nb::register_exception_translator(
      [](const std::exception_ptr& error, void* payload) {
        try {
          std::rethrow_exception(error);
        } catch (const sllmr::Interrupted&) {
          PyErr_SetNone(PyExc_KeyboardInterrupt);
        } catch (const sllmr::Error& fault) {
          // Not nanobind's own: a message may quote a file that is no UTF-8.
          PyErr_SetObject(static_cast<PyObject*>(payload), sllmr::python::shown(fault.what()).ptr());
        }
      },
      type.ptr());
  sllmr::python::bind_data(module);
  sllmr::python::bind_scores(module);
  sllmr::python::bind_runs(module);
  sllmr::python::bind_evaluation(module);
  sllmr::python::bind_listings(module);
  sllmr::python::bind_selective_pairs(module);
}
