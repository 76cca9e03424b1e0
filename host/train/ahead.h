// Preparing the next steps on the host while one is taken.
#pragma once

#include <cstdint>
#include <functional>

namespace sllmr {

/// Calls make(k, slot) and after it use(k, slot) for k = 0 .. count - 1, each in this order, until a use
/// returns false; slot = k % slots says which of the caller's buffers holds step k. With more than one slot,
/// `make` runs on a thread of its own and is ahead of `use` by at most as many steps as there are slots; with
/// one, both take turns on the calling thread. What either throws is thrown here, when the steps before it
/// have been used.
void run_ahead(std::int64_t count, std::int64_t slots,
               const std::function<void(std::int64_t k, std::int64_t slot)>& make,
               const std::function<bool(std::int64_t k, std::int64_t slot)>& use);

}  // namespace sllmr
