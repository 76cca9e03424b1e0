// How a backbone enters the registry: its file ends with a BackboneInfo NAME_backbone().
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "models/registry.h"

namespace sllmr {

template <class Real, class Made>
std::unique_ptr<Backbone<Real>> make_backbone(const Context& context, const BackboneOptions& options) {
  return std::make_unique<Made>(context, options);
}

/// The entry of Made<Real>, a Backbone<Real> that is made of (context, options).
template <template <class> class Made>
BackboneInfo backbone_info(std::string_view name, std::string_view title, std::string_view summary,
                           const std::vector<std::string_view>& own_keys = {}, bool reads_attributes = true,
                           bool has_dropout = true, bool takes_extra = true, bool is_product = false,
                           bool looks_up_rows = true) {
  return {.name = name,
          .title = title,
          .summary = summary,
          .make = make_backbone<float, Made<float>>,
          .make_double = make_backbone<double, Made<double>>,
          .own_keys = own_keys,
          .reads_attributes = reads_attributes,
          .has_dropout = has_dropout,
          .takes_extra = takes_extra,
          .is_product = is_product,
          .looks_up_rows = looks_up_rows};
}

}  // namespace sllmr
