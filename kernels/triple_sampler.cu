#include "kernels/triple_sampler.h"

#include "kernels/exec/launch.h"
#include "kernels/exec/random.h"

namespace sllmr {

namespace {

struct SampleTriple {
  InteractionView interactions;
  Permutation order;
  std::uint64_t seed;
  std::uint32_t epoch;
  std::int64_t first_row;
  Triple* out;

  SLLMR_HD bool has(Id user, Id item) const {
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
    const auto row = static_cast<std::uint64_t>(first_row + k);
    const auto index = static_cast<std::int64_t>(order(row));
    Triple triple{interactions.users[index], interactions.items[index], 0};
    for (std::uint32_t block = 0; triple.negative == 0; ++block) {
      const Draw draw = philox(seed, epoch, row, Purpose::negative, block);
      for (int w = 0; w < 4 && triple.negative == 0; ++w) {
        const Id item =
            1 + static_cast<Id>(below(draw.word[w], static_cast<std::uint32_t>(interactions.n_items)));
        if (!has(triple.user, item)) triple.negative = item;
      }
    }
    out[k] = triple;
  }
};

}  // namespace

void sample_triples_on(OnThisDevice, const Context& context, const InteractionView& interactions,
                       std::uint64_t seed, std::uint32_t epoch, std::int64_t first_row, std::int64_t count,
                       Triple* out) {
  const Permutation order(seed, epoch, static_cast<std::uint64_t>(interactions.n));
  launch_each(context, "sample_triples", count,
              SampleTriple{interactions, order, seed, epoch, first_row, out});
}

}  // namespace sllmr
