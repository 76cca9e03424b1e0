#include "models/initial.h"

#include "kernels/exec/parallel.h"

namespace sllmr {

namespace {

double draw_one(const Initial& initial, const InitialDraws& draws, std::uint64_t position) {
  if (initial.kind == Initial::Kind::constant) return initial.scale;
  const Draw draw = philox(draws.seed, draws.stream, position, draws.purpose);
  if (initial.kind == Initial::Kind::normal) {
    return initial.scale * static_cast<double>(normal(draw.word[0], draw.word[1]));
  }
  return initial.scale * (2.0 * static_cast<double>(uniform(draw.word[0])) - 1.0);
}

}  // namespace

template <class Real>
void draw_initial(const Context& context, const Initial& initial, const InitialDraws& draws,
                  std::uint64_t first, std::span<Real> values) {
  on_shares(context.threads(), static_cast<std::int64_t>(values.size()), [&](int, auto begin, auto end) {
    for (auto k = static_cast<std::uint64_t>(begin); k < static_cast<std::uint64_t>(end); ++k) {
      values[k] = static_cast<Real>(draw_one(initial, draws, first + k));
    }
  });
}

template <class Real>
void draw_initial_rows(const Context& context, const Initial& initial, const InitialDraws& draws, int width,
                       const RowShard& shard, std::span<Real> values) {
  const std::int64_t columns = width;
  on_shares(context.threads(), std::ssize(values) / columns - 1, [&](int, auto begin, auto end) {
    for (std::int64_t row = begin + 1; row <= end; ++row) {
      const std::int64_t first = shard.id_at(static_cast<Id>(row)) * columns;
      for (std::int64_t k = 0; k < columns; ++k) {
        values[static_cast<std::size_t>(row * columns + k)] =
            static_cast<Real>(draw_one(initial, draws, static_cast<std::uint64_t>(first + k)));
      }
    }
  });
}

template void draw_initial(const Context&, const Initial&, const InitialDraws&, std::uint64_t,
                           std::span<float>);
template void draw_initial(const Context&, const Initial&, const InitialDraws&, std::uint64_t,
                           std::span<double>);
template void draw_initial_rows(const Context&, const Initial&, const InitialDraws&, int, const RowShard&,
                                std::span<float>);
template void draw_initial_rows(const Context&, const Initial&, const InitialDraws&, int, const RowShard&,
                                std::span<double>);

}  // namespace sllmr
