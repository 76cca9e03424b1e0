#include "models/alignment/profile_alignment.h"

#include <algorithm>

#include "kernels/dense/leaky_relu.h"
#include "kernels/embedding.h"
#include "kernels/exec/gemm.h"
#include "kernels/gates/columns.h"
#include "kernels/info_nce.h"
#include "kernels/unit_rows.h"

namespace sllmr {

namespace {

constexpr float kSlope = 0.01F;

/// Rows of a matrix in unit length, and the gradients that they get.
struct Units {
  Tensor<float> unit, d_unit, scale;

  /// Of x[rows[k]], k < n; null: of the first n.
  Units(const Context& context, const Tensor<float>& x, const Id* rows, std::int64_t n)
      : unit(context, n, x.cols()), d_unit(context, n, x.cols()), scale(context, n, 1) {
    run(context, UnitRows{.x = x, .rows = rows, .unit = unit, .scale = scale.data()});
  }
  /// The gradient of x, of `rows` rows.
  Tensor<float> backward(const Context& context, const Id* place, std::int64_t rows) const {
    Tensor<float> d_x(context, rows, unit.cols());
    run(context,
        UnitRowsBackward{.unit = unit, .d_unit = d_unit, .scale = scale.data(), .place = place, .d_x = d_x});
    return d_x;
  }
};

}  // namespace

const ProfileAlignment::Columns ProfileAlignment::kUsers{GateColumns::pair_hinge, GateColumns::active};
const ProfileAlignment::Columns ProfileAlignment::kPositives{GateColumns::pair_alpha, GateColumns::agreement};
const ProfileAlignment::Columns ProfileAlignment::kNegatives{GateColumns::pair_weight, GateColumns::bucket};

ProfileAlignment::ProfileAlignment(const Context& context, const ProfileAlignmentOptions& options)
    : batch_(options.batch),
      all_users_(options.all_users ? std::ssize(options.users) / options.profile_width : 0),
      weight_(static_cast<float>(options.weight)),
      temperature_(static_cast<float>(options.temperature)),
      first_(parameters_, "alignment.0", options.profile_width, (options.profile_width + options.width) / 2,
             LinearInitial::xavier_uniform),
      second_(parameters_, "alignment.1", first_.out(), options.width, LinearInitial::xavier_uniform) {
  parameters_.allocate(context, options.seed);
  const auto table = [&](std::span<const float> profiles) {
    return Tensor<float>::from(context, std::ssize(profiles) / options.profile_width, options.profile_width,
                               profiles);
  };
  item_profiles_ = table(options.items);
  const std::int64_t users = options.all_users ? all_users_ : batch_;
  x_ = Tensor<float>(context, users + batch_, options.profile_width);
  if (options.all_users) {
    copy_to_device(context, x_.data(), options.users.data(), options.users.size_bytes());
  } else {
    user_profiles_ = table(options.users);
  }
}

Tensor<float> ProfileAlignment::profiles(const Context& context, const AlignedRows& rows) const {
  const auto gather = [&](const Tensor<float>& table, const Id* ids, std::int64_t first, std::int64_t n) {
    if (n != 0) run(context, GatherRows{.table = table, .ids = ids, .out = x_.row_range(first, n)});
  };
  const std::int64_t users = all_users_ != 0 ? all_users_ : rows.positives,
                     items = rows.positives + rows.negatives;
  if (all_users_ == 0) gather(user_profiles_, rows.users, 0, rows.positives);
  gather(item_profiles_, rows.items, users, items);
  return x_.row_range(0, users + items);
}

RowVectors<float> ProfileAlignment::gradients(const Context& context, const AlignedRows& rows,
                                              const RowVectors<float>& vectors, const GateArgs& gate) const {
  const std::int64_t positives = rows.positives, negatives = rows.negatives, n = positives + negatives;
  require(n <= batch_ && vectors.users.rows() == n && vectors.items.rows() == n,
          "ProfileAlignment: the batch has more rows than said, or others than its vectors");
  const Tensor<float> x = profiles(context, rows), h = first_.forward(context, x, {}, nullptr);
  run(context, LeakyRelu<float>{.x = h, .slope = kSlope, .out = h});
  typename Linear<float>::Saved saved;
  const Tensor<float> mapped = second_.forward(context, h, {}, &saved);

  const Units q(context, mapped, nullptr, mapped.rows()),
      users(context, vectors.users, rows.order, positives), items(context, vectors.items, rows.order, n);
  const std::int64_t of_users = x.rows() - n;  // rows of q
  const auto contrast_items = [&](std::int64_t first, std::int64_t count, Columns columns) {
    contrast(context,
             {items.unit.row_range(first, count), items.d_unit.row_range(first, count),
              q.unit.row_range(of_users + first, count), q.d_unit.row_range(of_users + first, count), nullptr,
              columns},
             gate);
  };
  contrast(context,
           {users.unit, users.d_unit, q.unit.row_range(0, of_users), q.d_unit.row_range(0, of_users),
            all_users_ != 0 ? rows.users : nullptr, kUsers},
           gate);
  contrast_items(0, positives, kPositives);
  contrast_items(positives, negatives, kNegatives);

  const Tensor<float> d_h = second_.backward(context, saved, q.backward(context, nullptr, mapped.rows()));
  run(context, LeakyReluBackward<float>{.out = h, .slope = kSlope, .d = d_h});
  first_.backward_of_frozen(context, x, d_h);
  return {users.backward(context, rows.place, n), items.backward(context, rows.place, n)};
}

void ProfileAlignment::contrast(const Context& context, const Contrast& of, const GateArgs& gate) const {
  constexpr std::int64_t kMostCosines = 1 << 23;  // at once: 32 MiB
  const std::int64_t anchors = of.anchors.rows(), candidates = of.candidates.rows();
  if (candidates == 0) return;
  if (anchors == 0) {
    fill_zero(context, of.d_candidates.data(),
              static_cast<std::size_t>(of.d_candidates.size()) * sizeof(float));
    return;
  }
  const std::int64_t tile = std::clamp<std::int64_t>(kMostCosines / candidates, 1, anchors);
  for (std::int64_t first = 0; first < anchors; first += tile) {
    const std::int64_t n = std::min(tile, anchors - first);
    const Tensor<float> a = of.anchors.row_range(first, n);
    const Tensor<float> cosines = products<float>(context, a, of.candidates);
    run(context, InfoNce{.cosines = cosines,
                         .own = of.own == nullptr ? nullptr : of.own + first,
                         .first_own = first,
                         .temperature = temperature_,
                         .scale = weight_ / static_cast<float>(anchors),
                         .gate = gate,
                         .first_slot = first,
                         .loss_column = of.columns.loss,
                         .cosine_column = of.columns.cosine});
    multiply(context, cosines, of.candidates, of.d_anchors.row_range(first, n));
    if (first == 0) {
      multiply(context, transposed(cosines), a, of.d_candidates);
    } else {
      multiply_add(context, transposed(cosines), a, of.d_candidates);
    }
  }
}

}  // namespace sllmr
