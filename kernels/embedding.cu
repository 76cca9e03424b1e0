#include "kernels/embedding.h"

#include "kernels/exec/launch.h"

namespace sllmr {

namespace {

struct GatheredRow {
  GatherRows args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    const int width = static_cast<int>(args.table.cols);
    const float* from = args.table.data + static_cast<std::int64_t>(args.ids[k]) * width;
    float* to = args.out.data + k * width;
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

struct RowsProduct {
  DotRows args;

  template <class Lanes>
  SLLMR_HD void operator()(Lanes lanes, std::int64_t k) const {
    const int width = static_cast<int>(args.users.cols);
    const float* u = args.users.row(args.user_ids[k]);
    const float* v = args.items.row(args.item_ids[k]);
    float sum = 0;
    for (int d = lanes.lane(); d < width; d += Lanes::size) sum += u[d] * v[d];
    sum = lanes.sum(sum);
    if (lanes.lane() == 0) args.out[k] = sum;
  }
};

void run_here(const Context& context, const GatherRows& args) {
  require(args.table.stride == args.table.cols && args.out.stride == args.table.cols,
          "gather_rows: a matrix has gaps between its rows, or not the table's width");
  launch(context, "gather_rows", args.out.rows, GatheredRow{args});
}

void run_here(const Context& context, const DotRows& args) {
  launch(context, "dot_rows", args.n, RowsProduct{args});
}

}  // namespace

SLLMR_KERNEL(GatherRows)
SLLMR_KERNEL(DotRows)

}  // namespace sllmr
