// The slices of the rows that every figure is given for.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "host/data/split.h"

namespace sllmr {

/// All rows, those of cold users, and those whose item is in the tail.
enum class Slice : std::size_t { all, cold, tail };
inline constexpr std::array kEverySlice = {Slice::all, Slice::cold, Slice::tail};
inline constexpr std::array kSliceNames = {"all", "cold", "tail"};  // in the order of kEverySlice

inline bool is_in(Slice slice, const Split& split, Id user, Id item) {
  switch (slice) {
    case Slice::cold:
      return split.cold[static_cast<std::size_t>(user)] != 0;
    case Slice::tail:
      return split.tail[static_cast<std::size_t>(item)] != 0;
    case Slice::all:
      break;
  }
  return true;
}

/// Of a line of predictions: a tab and 0 or 1 for each slice but `all`, in the order of kEverySlice.
inline std::string slice_columns(const Split& split, Id user, Id item) {
  std::string columns;
  for (const Slice slice : kEverySlice) {
    if (slice != Slice::all) columns += is_in(slice, split, user, item) ? "\t1" : "\t0";
  }
  return columns;
}

}  // namespace sllmr
