// When a checkpoint is due.
#pragma once

#include <algorithm>

namespace sllmr {

/// At the end of epoch `epoch`, `seconds` after the last checkpoint, which took `last_write` seconds.
/// `every`: epochs between two; 0: they shall take a twentieth of the time at most.
inline bool checkpoint_is_due(int every, int epoch, double seconds, double last_write) {
  constexpr double kLeast = 5, kTimes = 20;
  return every > 0 ? epoch % every == 0 : seconds >= std::max(kLeast, kTimes * last_write);
}

}  // namespace sllmr
