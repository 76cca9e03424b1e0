// How OpenMP's threads wait for each other, OpenBLAS's included.
#pragma once

namespace sllmr {

/// The first call of main(): limits how long a thread spins before it sleeps. GCC's runtime spins for some
/// milliseconds by default, which is a little faster where every core is free, and 5 to 60 times slower where
/// another process keeps one busy, as the thread that everybody waits for is the one that does not run. The
/// runtime reads this from the environment while the program is loaded, so the process runs its program once
/// more, as execv() does, with GOMP_SPINCOUNT set.
///
/// Does nothing where the user has set GOMP_SPINCOUNT or OMP_WAIT_POLICY, and where the program's own path is
/// not known.
void limit_spinning(char** argv);

}  // namespace sllmr
