// What else the machine is doing.
#pragma once

namespace sllmr::bench {

/// Cores that other processes keep busy, the host's other guests included, while this one sleeps for
/// `seconds`; 0 where the system does not tell.
double foreign_cores(double seconds);

}  // namespace sllmr::bench
