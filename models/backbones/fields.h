// The feature fields in the order in which backbones concatenate them.
#pragma once

#include <array>

#include "models/backbone.h"

namespace sllmr {

inline constexpr std::array<Field, kFields> kAllFields{Field::user,
                                                       Field::item,
                                                       Field::brand,
                                                       Field::categories,
                                                       Field::history_items,
                                                       Field::history_brands,
                                                       Field::history_categories};

}  // namespace sllmr
