#include "models/layers/parameters.h"

#include <algorithm>
#include <span>
#include <utility>

namespace sllmr {

namespace {

constexpr std::int64_t kBoundary = 16;  // elements: 64 bytes of float

}  // namespace

template <class Real>
int Parameters<Real>::add(std::string name, std::vector<std::int64_t> shape, Initial initial) {
  return add_drawn({std::move(name), std::move(shape), initial, true});
}

template <class Real>
int Parameters<Real>::add_state(std::string name, std::vector<std::int64_t> shape, Initial initial) {
  require(initial.kind == Initial::Kind::constant,
          "Parameters: '" + name + "' is state and starts at a constant");
  return add_part({std::move(name), std::move(shape), initial, false});
}

template <class Real>
int Parameters<Real>::add_frozen(std::string name, std::vector<std::int64_t> shape, Initial initial) {
  return add_drawn({std::move(name), std::move(shape), initial, false});
}

template <class Real>
std::int64_t Parameters<Real>::extent_of(const Part& part) {
  return (part.size + kBoundary - 1) / kBoundary * kBoundary;
}

template <class Real>
int Parameters<Real>::add_drawn(Part part) {
  const int index = add_part(std::move(part));
  draws_ += extent_of(parts_.back());
  return index;
}

template <class Real>
int Parameters<Real>::add_part(Part part) {
  require(!allocated_, "Parameters: '" + part.name + "' comes after allocate()");
  for (const Part& other : parts_) {
    require(other.name != part.name, "Parameters: the name '" + part.name + "' is taken");
  }
  part.size = 1;
  for (const std::int64_t extent : part.shape) {
    require(extent > 0, "'" + part.name + "' has an extent of 0: every layer needs at least one unit");
    part.size = static_cast<std::int64_t>(size_product(part.size, extent));
  }
  std::int64_t& total = part.trained ? size_ : state_size_;
  part.offset = total;
  part.first_draw = draws_;
  total += extent_of(part);
  parts_.push_back(std::move(part));
  return static_cast<int>(parts_.size()) - 1;
}

template <class Real>
void Parameters<Real>::allocate(const Context& context, std::uint64_t seed) {
  require(!allocated_, "Parameters::allocate: called twice");
  allocated_ = true;
  std::vector<Real> values(static_cast<std::size_t>(size_)), state(static_cast<std::size_t>(state_size_));
  for (const Part& part : parts_) {
    const std::span<Real> slab(part.trained ? values : state);
    draw_initial(context, part.initial, {seed, Purpose::init_layer},
                 static_cast<std::uint64_t>(part.first_draw),
                 slab.subspan(static_cast<std::size_t>(part.offset), static_cast<std::size_t>(part.size)));
  }
  values_ = Buffer<Real>(context, std::span<const Real>(values));
  gradients_ = Buffer<Real>(context, values.size());
  state_ = Buffer<Real>(context, std::span<const Real>(state));
}

template <class Real>
int Parameters<Real>::find(const std::string& name) const {
  const auto found = std::ranges::find(parts_, name, &Part::name);
  require(found != parts_.end(), "no parameter is called '" + name + "'");
  return static_cast<int>(found - parts_.begin());
}

template <class Real>
Real* Parameters<Real>::value(int part) const {
  const Part& at = parts_[static_cast<std::size_t>(part)];
  return (at.trained ? values_ : state_).data() + at.offset;
}

template <class Real>
Real* Parameters<Real>::gradient(int part) const {
  const Part& at = parts_[static_cast<std::size_t>(part)];
  return at.trained ? gradients_.data() + at.offset : nullptr;
}

template class Parameters<float>;
template class Parameters<double>;

}  // namespace sllmr
