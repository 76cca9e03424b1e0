// Every backbone. A new one is its file and its lines in registry.cpp; CLI, config checks, tests, benchmarks
// and reports enumerate this list.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "models/backbone.h"

namespace sllmr {

struct BackboneInfo {
  std::string_view name;     // as config and CLI spell it: "dcnv2"
  std::string_view title;    // as papers spell it: "DCNv2"
  std::string_view summary;  // one line
  std::unique_ptr<Backbone<float>> (*make)(const Context&, const BackboneOptions&);
  std::unique_ptr<Backbone<double>> (*make_double)(const Context&, const BackboneOptions&);
  std::vector<std::string_view> own_keys = {};  // config keys that not every backbone has a use for
  bool reads_attributes = true;                 // brand and categories
  bool has_dropout = true;                      // model.dropout
  bool takes_extra = true;                      // BackboneOptions::extra
  bool is_product = false;                      // the logit is <user's vector, item's vector>
  bool looks_up_rows = true;  // of embedding tables; else it reads all of them in every step
};
const std::vector<BackboneInfo>& backbones();
/// The backbone called `name`, or null.
const BackboneInfo* find_backbone(std::string_view name);

}  // namespace sllmr
