#include "host/base/say.h"

#include <fmt/format.h>

#include <cstdio>

#include "kernels/exec/communicator.h"

namespace sllmr {

void say(std::string_view line) {
  if (rank_of_all() == 0) fmt::print(stderr, "{}\n", line);
}

}  // namespace sllmr
