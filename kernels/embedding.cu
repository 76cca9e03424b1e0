#include "kernels/embedding.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

struct GatherRows {
  const float* table;
  int width;
  const Id* ids;
  float* out;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    const float* from = table + static_cast<std::int64_t>(ids[k]) * width;
    float* to = out + k * width;
    if (Lanes::size > 1 && width % kWords == 0) {
      // 16 bytes a lane: rows begin at multiples of them, as Buffer and Tensor do.
      const auto* wide_from = reinterpret_cast<const Words*>(from);
      auto* wide_to = reinterpret_cast<Words*>(to);
      for (int d = lanes.lane(); d < width / kWords; d += Lanes::size) wide_to[d] = wide_from[d];
      return;
    }
    for (int d = lanes.lane(); d < width; d += Lanes::size) to[d] = from[d];
  }

 private:
  static constexpr int kWords = 4;
  struct alignas(16) Words {
    float word[kWords];
  };
};

struct DotRows {
  const float* users;
  const float* items;
  int width;
  const Id* user_ids;
  const Id* item_ids;
  float* out;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    const float* u = users + static_cast<std::int64_t>(user_ids[k]) * width;
    const float* v = items + static_cast<std::int64_t>(item_ids[k]) * width;
    float sum = 0;
    for (int d = lanes.lane(); d < width; d += Lanes::size) sum += u[d] * v[d];
    sum = lanes.sum(sum);
    if (lanes.lane() == 0) out[k] = sum;
  }
};

}  // namespace

void gather_rows_on(OnThisDevice, const Context& context, const float* table, int width, const Id* ids,
                    std::int64_t n, float* out) {
  launch(context, "gather_rows", n, GatherRows{table, width, ids, out});
}

void dot_rows_on(OnThisDevice, const Context& context, const float* users, const float* items, int width,
                 const Id* user_ids, const Id* item_ids, std::int64_t n, float* out) {
  launch(context, "dot_rows", n, DotRows{users, items, width, user_ids, item_ids, out});
}

}  // namespace sllmr
