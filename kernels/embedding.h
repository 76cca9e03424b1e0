// Reading rows of embedding tables: gathers and row-by-row products, for any width.
#pragma once

#include <cstdint>

#include "kernels/exec/context.h"

namespace sllmr {

void gather_rows_on(OnCpu, const Context& context, const float* table, int width, const Id* ids,
                    std::int64_t n, float* out);
void gather_rows_on(OnCuda, const Context& context, const float* table, int width, const Id* ids,
                    std::int64_t n, float* out);
void dot_rows_on(OnCpu, const Context& context, const float* users, const float* items, int width,
                 const Id* user_ids, const Id* item_ids, std::int64_t n, float* out);
void dot_rows_on(OnCuda, const Context& context, const float* users, const float* items, int width,
                 const Id* user_ids, const Id* item_ids, std::int64_t n, float* out);

/// out [n x width]: rows ids[0], ids[1], ... of table [rows x width]. All on the device; asynchronous there.
/// `table` and `out` begin at multiples of 16 bytes, as all that Buffer and Tensor allocate.
inline void gather_rows(const Context& context, const float* table, int width, const Id* ids, std::int64_t n,
                        float* out) {
  on_device(context, [&](auto device) { gather_rows_on(device, context, table, width, ids, n, out); });
}

/// out[k] = users[user_ids[k]] . items[item_ids[k]] for k < n; tables of [rows x width].
inline void dot_rows(const Context& context, const float* users, const float* items, int width,
                     const Id* user_ids, const Id* item_ids, std::int64_t n, float* out) {
  on_device(context, [&](auto device) {
    dot_rows_on(device, context, users, items, width, user_ids, item_ids, n, out);
  });
}

}  // namespace sllmr
