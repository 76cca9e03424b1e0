#include "models/registry.h"

#include <algorithm>

#include "models/backbones/factories.h"

namespace sllmr {

const std::vector<BackboneInfo>& backbones() {
  static const std::vector<BackboneInfo> list{
      {"mf", "MF", "matrix factorisation: <user, item>", make_mf<float>, make_mf<double>, {}, false, false},
      {"lightgcn",
       "LightGCN",
       "<user, item> of rows that are propagated over the training graph",
       make_lightgcn<float>,
       make_lightgcn<double>,
       {},
       false,
       false},
      {"deepfm",
       "DeepFM",
       "factorisation machine beside a deep part",
       make_deepfm<float>,
       make_deepfm<double>,
       {"model.frozen_bias"}},
      {"xdeepfm",
       "xDeepFM",
       "compressed interaction network beside a deep part",
       make_xdeepfm<float>,
       make_xdeepfm<double>,
       {"model.frozen_bias", "model.relu_deep_logit"}},
      {"autoint", "AutoInt", "self-attention over the fields beside a deep part", make_autoint<float>,
       make_autoint<double>},
      {"dcnv1", "DCN", "vector-wise cross layers beside a deep part", make_dcnv1<float>, make_dcnv1<double>},
      {"dcnv2",
       "DCNv2",
       "cross layers of low-rank experts, or full rank, beside a deep part",
       make_dcnv2<float>,
       make_dcnv2<double>,
       {"model.cross"}},
      {"din", "DIN", "attention over the history, item by item, before a deep part", make_din<float>,
       make_din<double>},
  };
  return list;
}

const BackboneInfo* find_backbone(std::string_view name) {
  const auto found = std::ranges::find(backbones(), name, &BackboneInfo::name);
  return found == backbones().end() ? nullptr : &*found;
}

}  // namespace sllmr
