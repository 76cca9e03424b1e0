// How tables and parameters start.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/exec/context.h"
#include "kernels/exec/random.h"
#include "kernels/exec/row_shard.h"

namespace sllmr {

/// From what an element starts.
struct Initial {
  enum class Kind { constant, uniform, normal };
  Kind kind = Kind::constant;
  double scale = 0;  // the constant, the bound of the uniform distribution, or the standard deviation

  static Initial constant(double value) { return {Kind::constant, value}; }
  static Initial uniform(double bound) { return {Kind::uniform, bound}; }
  static Initial normal(double deviation) { return {Kind::normal, deviation}; }
};

/// Which random numbers are drawn. `stream` tells apart what is drawn for one purpose.
struct InitialDraws {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::init_layer;
  std::uint32_t stream = 0;
};

/// values[k]: what position first + k draws, which depends on `draws` and the position alone. On the host
/// whatever the device: the logarithms and cosines of two machines differ in the last bit.
template <class Real>
void draw_initial(const Context& context, const Initial& initial, const InitialDraws& draws,
                  std::uint64_t first, std::span<Real> values);

/// The same of a table [rows x width] of which `shard` keeps these rows, `values` [own rows x width]: row 0
/// is left as it is, and an element draws by its position in the whole table.
template <class Real>
void draw_initial_rows(const Context& context, const Initial& initial, const InitialDraws& draws, int width,
                       const RowShard& shard, std::span<Real> values);

}  // namespace sllmr
