// Mean of the table rows of each bag of ids, for several fields at once, and the way back to a dense
// gradient.
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

/// The rows of a table that a batch touches and their occurrences, as models/features.h's TablePlan has them,
/// and the gradient of one field's means.
template <class Real>
struct BagGradients {
  std::int64_t n = 0;                     // rows touched
  const Id* keys = nullptr;               // [n], each once
  const std::int64_t* offsets = nullptr;  // [n + 1]
  const std::int8_t* field = nullptr;     // [offsets[n]]
  const std::int32_t* bag = nullptr;      // [offsets[n]]
  std::int8_t wanted = 0;                 // the field; occurrences in others are passed over
  int width = 0;
  const std::int32_t* length = nullptr;  // [bags]
  const Real* d_means = nullptr;         // row b begins at d_means + b * stride
  std::int64_t stride = 0;
  Real* d_table = nullptr;  // [rows x width]
};

void bag_means_on(OnCpu, const Context& context, const BagLookup<float>& lookup);
void bag_means_on(OnCpu, const Context& context, const BagLookup<double>& lookup);
void bag_means_on(OnCuda, const Context& context, const BagLookup<float>& lookup);
void bag_means_on(OnCuda, const Context& context, const BagLookup<double>& lookup);
void bag_gradients_on(OnCpu, const Context& context, const BagGradients<float>& args);
void bag_gradients_on(OnCpu, const Context& context, const BagGradients<double>& args);
void bag_gradients_on(OnCuda, const Context& context, const BagGradients<float>& args);
void bag_gradients_on(OnCuda, const Context& context, const BagGradients<double>& args);

/// out[b] = sum of the bag's rows, in the order of its ids, / length; zero for an empty bag. One launch for
/// all fields; ids are not checked.
template <class Real>
void bag_means(const Context& context, const BagLookup<Real>& lookup) {
  on_device(context, [&](auto device) { bag_means_on(device, context, lookup); });
}

/// Replaces row keys[r] of d_table, r < n, by the sum of d_means / length over its occurrences in the wanted
/// field, in their order: no atomics. Other rows are left alone.
template <class Real>
void bag_gradients(const Context& context, const BagGradients<Real>& args) {
  on_device(context, [&](auto device) { bag_gradients_on(device, context, args); });
}

}  // namespace sllmr
