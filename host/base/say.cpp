#include "host/base/say.h"

#include <fmt/format.h>

#include <cstdio>

#include "host/base/listener.h"
#include "kernels/exec/communicator.h"

namespace sllmr {

void say(std::string_view line) {
  if (rank_of_all() != 0) return;
  if (Listener* const hears = listener(); hears != nullptr) return hears->note(line);
  fmt::print(stderr, "{}\n", line);
}

}  // namespace sllmr
