// A data set in Python's hands.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <span>

#include "host/config/config.h"
#include "host/runs/training.h"

namespace sllmr::python {

struct Data {
  Config config;  // what it was read by
  World world;

  const Dataset& set() const { return *world.data; }
};

/// A view of numbers that live as long as `owner`.
template <class Number>
using Array = nanobind::ndarray<nanobind::numpy, const Number, nanobind::ndim<1>>;
template <class Number>
Array<Number> view(std::span<const Number> numbers, nanobind::handle owner) {
  return Array<Number>(numbers.data(), {numbers.size()}, owner);
}

/// How a property hands out what view() and given() make: they have their owner.
inline constexpr auto kAsItIs = nanobind::rv_policy::reference;

/// Numbers that are made to be given away.
template <class Number>
Array<Number> given(std::vector<Number> numbers) {
  auto* kept = new std::vector<Number>(std::move(numbers));
  const nanobind::capsule owner(
      kept, [](void* pointer) noexcept { delete static_cast<std::vector<Number>*>(pointer); });
  return Array<Number>(kept->data(), {kept->size()}, owner);
}

}  // namespace sllmr::python
