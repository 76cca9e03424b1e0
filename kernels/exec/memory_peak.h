// Where the peak of device memory begins.
#pragma once

#include "kernels/exec/context.h"

namespace sllmr {

/// device_peak_bytes() begins anew, at what is held now. No other thread allocates meanwhile.
void restart_device_peak(Device device);

}  // namespace sllmr
