// What a command tells beside its results.
#pragma once

#include <string_view>

namespace sllmr {

/// A line on stderr, or to who listens (host/base/listener.h), once: of several ranks of one run
/// (kernels/exec/communicator.h) the first one's.
void say(std::string_view line);

}  // namespace sllmr
