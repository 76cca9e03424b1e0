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

/// The embedding of a backbone that reads all fields, "embedding".
template <class Real>
Embedding<Real> all_fields(const Context& context, const BackboneOptions& options,
                           const EmbeddingInitial& initial) {
  return {context, "embedding", options.width, kAllFields, options.table_rows, initial, options.seed};
}

}  // namespace sllmr
