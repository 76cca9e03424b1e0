#include "kernels/triple_sampler.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

struct TripleOfRow {
  SampleTriples args;
  Permutation order;

  SLLMR_HD bool has(Id user, Id item) const {
    const InteractionView& interactions = args.interactions;
    const Id* begin = interactions.sorted_items + interactions.offsets[user];
    const Id* end = interactions.sorted_items + interactions.offsets[user + 1];
    while (begin < end) {
      const Id* middle = begin + (end - begin) / 2;
      if (*middle == item) return true;
      if (*middle < item) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    return false;
  }

  template <class Lanes>
  SLLMR_HD void operator()(Lanes, std::int64_t k) const {
    const InteractionView& interactions = args.interactions;
    const auto row = static_cast<std::uint64_t>(args.first_row + k);
    const auto index = static_cast<std::int64_t>(order(row));
    Triple triple{interactions.users[index], interactions.items[index], 0};
    for (std::uint32_t block = 0; triple.negative == 0; ++block) {
      const Draw draw = philox(args.seed, args.epoch, row, Purpose::negative, block);
      for (int w = 0; w < 4 && triple.negative == 0; ++w) {
        const Id item =
            1 + static_cast<Id>(below(draw.word[w], static_cast<std::uint32_t>(interactions.n_items)));
        if (!has(triple.user, item)) triple.negative = item;
      }
    }
    args.out[k] = triple;
  }
};

void run_here(const Context& context, const SampleTriples& args) {
  const Permutation order(args.seed, args.epoch, static_cast<std::uint64_t>(args.interactions.n));
  launch_each(context, "sample_triples", args.count, TripleOfRow{args, order});
}

}  // namespace

SLLMR_KERNEL(SampleTriples)

}  // namespace sllmr
