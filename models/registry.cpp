#include "models/registry.h"

#include <algorithm>

#include "models/backbones/factories.h"

namespace sllmr {

const std::vector<BackboneInfo>& backbones() {
  static const std::vector<BackboneInfo> list{
      {"dcnv1", "DCN", "vector-wise cross layers beside a deep part", make_dcnv1<float>, make_dcnv1<double>},
      {"dcnv2", "DCNv2", "cross layers of low-rank experts, or full rank, beside a deep part",
       make_dcnv2<float>, make_dcnv2<double>},
  };
  return list;
}

const BackboneInfo* find_backbone(std::string_view name) {
  const auto found = std::ranges::find(backbones(), name, &BackboneInfo::name);
  return found == backbones().end() ? nullptr : &*found;
}

}  // namespace sllmr
