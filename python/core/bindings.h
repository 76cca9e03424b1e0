// The parts of the Python module `sllmr._core`. What they give and take is plain: texts, numbers, arrays, and
// JSON as text; the package around them (python/sllmr) makes data frames of it.
#pragma once

#include <nanobind/nanobind.h>

namespace sllmr::python {

void bind_data(nanobind::module_& module);
void bind_scores(nanobind::module_& module);
void bind_runs(nanobind::module_& module);
void bind_evaluation(nanobind::module_& module);
void bind_listings(nanobind::module_& module);
void bind_selective_pairs(nanobind::module_& module);

}  // namespace sllmr::python
