// Mean of the table rows of each bag of ids, for several fields at once.
#pragma once

#include <cstdint>

#include "kernels/exec/context.h"

namespace sllmr {

/// One field of a look-up. Bag b averages rows ids[begin[b]] .. ids[begin[b] + length[b] - 1] of the table.
template <class Real>
struct BagField {
  const Real* table = nullptr;  // [rows x width]
  const Id* ids = nullptr;
  const std::int64_t* begin = nullptr;   // [bags]
  const std::int32_t* length = nullptr;  // [bags]
  Real* out = nullptr;                   // row b begins at out + b * stride
  std::int64_t stride = 0;
};

/// Fields of one width with the same number of bags; passed to the kernel by value.
template <class Real>
struct BagLookup {
  static constexpr int kMaxFields = 8;
  int width = 0;
  int n_fields = 0;
  std::int64_t bags = 0;
  BagField<Real> fields[kMaxFields];
};

void bag_means_on(OnCpu, const Context& context, const BagLookup<float>& lookup);
void bag_means_on(OnCpu, const Context& context, const BagLookup<double>& lookup);
void bag_means_on(OnCuda, const Context& context, const BagLookup<float>& lookup);
void bag_means_on(OnCuda, const Context& context, const BagLookup<double>& lookup);

/// out[b] = sum of the bag's rows, in the order of its ids, / length; zero for an empty bag. One launch for
/// all fields; ids are not checked.
template <class Real>
void bag_means(const Context& context, const BagLookup<Real>& lookup) {
  on_device(context, [&](auto device) { bag_means_on(device, context, lookup); });
}

}  // namespace sllmr
