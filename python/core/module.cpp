#include <exception>

#include "core/bindings.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  module.doc() = "What the package sllmr is made of; use the package.";
  nb::exception<sllmr::Error>(module, "Error", PyExc_ValueError);
  nb::register_exception_translator([](const std::exception_ptr& error, void*) {
    try {
      std::rethrow_exception(error);
    } catch (const sllmr::Interrupted&) {
      PyErr_SetNone(PyExc_KeyboardInterrupt);
    }
  });
  sllmr::python::bind_data(module);
  sllmr::python::bind_scores(module);
  sllmr::python::bind_runs(module);
  sllmr::python::bind_evaluation(module);
  sllmr::python::bind_listings(module);
}
