// What else the machine is doing, and how far apart its cores are.
#pragma once

namespace sllmr::bench {

/// Cores that other processes keep busy, the host's other guests included, while this one sleeps for
/// `seconds`; 0 where the system does not tell.
double foreign_cores(double seconds);

/// Nanoseconds that a cache line takes between the first two of this process's cores and back; 0 where there
/// is one. Cores that share no cache take several times as long as others, and which a virtual machine has
/// may change by the minute: threads that write into the same tables slow down with it.
double core_round_trip();

}  // namespace sllmr::bench
