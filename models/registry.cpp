#include "models/registry.h"

#include <algorithm>

namespace sllmr {

// Each is defined in the file of its name in models/backbones.
BackboneInfo mf_backbone();
BackboneInfo lightgcn_backbone();
BackboneInfo deepfm_backbone();
BackboneInfo xdeepfm_backbone();
BackboneInfo autoint_backbone();
BackboneInfo dcnv1_backbone();
BackboneInfo dcnv2_backbone();
BackboneInfo din_backbone();

const std::vector<BackboneInfo>& backbones() {
  static const std::vector<BackboneInfo> list{mf_backbone(),      lightgcn_backbone(), deepfm_backbone(),
                                              xdeepfm_backbone(), autoint_backbone(),  dcnv1_backbone(),
                                              dcnv2_backbone(),   din_backbone()};
  return list;
}

const BackboneInfo* find_backbone(std::string_view name) {
  const auto found = std::ranges::find(backbones(), name, &BackboneInfo::name);
  return found == backbones().end() ? nullptr : &*found;
}

}  // namespace sllmr
