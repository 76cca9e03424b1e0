#include <nanobind/stl/string.h>

#include "core/bindings.h"
#include "host/config/config.h"
#include "host/runs/provenance.h"
#include "kernels/exec/context.h"

namespace nb = nanobind;

namespace sllmr::python {
namespace {

nb::list keys() {
  nb::list out;
  for (const ConfigKeyInfo& key : config_keys())
    out.append(nb::make_tuple(key.key, key.type, key.default_value, key.doc));
  return out;
}

nb::list devices() {
  nb::list out;
  for (const DeviceInfo& device : list_devices()) {
    out.append(nb::make_tuple(device.device == Device::cpu ? "cpu" : "cuda", device.name, device.memory_gib,
                              device.units));
  }
  return out;
}

}  // namespace

void bind_listings(nb::module_& module) {
  module.def("config_keys", &keys, "(key, type, default, meaning) of every configuration key.");
  module.def("devices", &devices, "(device, name, GiB, units) of the CPU and of every usable GPU.");
  module.def("version", &program_version, "Version and commit.");
  module.attr("WITH_CUDA") = SLLMR_WITH_CUDA != 0;
}

}  // namespace sllmr::python
