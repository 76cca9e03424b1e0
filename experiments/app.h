// The command line program as a function.
#pragma once

namespace sllmr {

/// Runs one command. Returns the exit status: 0, 1 after an error (told on standard error; output that could
/// not be written is one), 130 after Ctrl-C, or another one above 100 for a command line that cannot be
/// understood.
int run_app(int argc, const char* const* argv);

}  // namespace sllmr
