#include "host/train/stored_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <type_traits>
#include <variant>

#include "host/base/json_text.h"
#include "host/eval/ctr.h"
#include "host/guidance/registry.h"
#include "host/text/written_vectors.h"
#include "host/train/ranking_scorer.h"
#include "models/adam/adam.h"

namespace sllmr {

namespace {

class StoredMf final : public EvaluatedModel {
 public:
  // Without state of an optimiser, of which SGD has none.
  StoredMf(const Context& context, const Config& config, const Split& split,
           const std::shared_ptr<const TextVectors>&)
      : context_(context),
        model_(context, split.data->users.rows(), split.data->items.rows(),
               mf_options(config, OptimizerKind::sgd)) {}

  const Scorer& scorer(Target) override { return model_; }
  std::vector<float> ctr_logits(std::span<const CtrRow> rows) override {
    return score_rows(context_, model_, rows);
  }
  std::vector<NamedBuffer> named_buffers() { return model_.named_buffers(); }

 private:
  const Context& context_;
  Mf model_;
};

class StoredBackbone final : public EvaluatedModel {
 public:
  StoredBackbone(const Context& context, const Config& config, const Split& split,
                 const std::shared_ptr<const TextVectors>& vectors)
      : context_(context),
        features_(context, features_of(config, *split.data), config.data.max_history,
                  examples_for(config, split, vectors)),
        backbone_(make_backbone(context, config, features_, split, vectors)),
        scorer_(features_, *backbone_, split) {}

  const Scorer& scorer(Target target) override {
    scorer_.prepare(context_, target);
    return scorer_;
  }
  std::vector<float> ctr_logits(std::span<const CtrRow> rows) override {
    return scorer_.ctr_logits(context_, rows);
  }
  std::vector<NamedBuffer> named_buffers() { return sllmr::named_buffers(*backbone_); }

 private:
  const Context& context_;
  FeatureStore features_;
  std::unique_ptr<Backbone<float>> backbone_;
  RankingScorer scorer_;
};

template <class Model>
std::unique_ptr<EvaluatedModel> load(const Context& context, const Config& config, const Split& split,
                                     const std::shared_ptr<const TextVectors>& vectors,
                                     const SafetensorsFile& checkpoint) {
  auto model = std::make_unique<Model>(context, config, split, vectors);
  load_buffers(context, checkpoint, model->named_buffers());
  return model;
}

}  // namespace

MfOptions mf_options(const Config& config, OptimizerKind optimizer) {
  return {.width = config.model.width,
          .init_std = config.model.init_std,
          .seed = config.seed,
          .optimizer = optimizer,
          .item_bias = config.model.item_bias};
}

bool has_mf_kernels(const Config& config) {
  return config.model.name == "mf" && config.train.loss == BaseLoss::bpr && find_guidance(config).trains_mf;
}

FeatureSource features_of(const Config& config, const Dataset& data) {
  FeatureSource source = feature_source(data);
  source.user_id = config.model.user_id;
  return source;
}

std::unique_ptr<Backbone<float>> make_backbone(const Context& context, const Config& config,
                                               const FeatureStore& features, const Split& split,
                                               const std::shared_ptr<const TextVectors>& vectors,
                                               const std::array<RowShard, kVocabularies>& shards) {
  BackboneOptions options;
  options.width = config.model.width;
  options.embedding_std = config.model.embedding_std;
  options.hidden = config.model.hidden;
  options.dropout = config.model.dropout;
  options.cross = config.model.cross;
  options.frozen_bias = config.model.frozen_bias;
  options.relu_deep_logit = config.model.relu_deep_logit;
  options.seed = config.seed;
  options.table_rows = features.table_rows();
  options.shards = shards;
  options.interactions = training_interactions(split);
  const GuidanceInfo& guidance = find_guidance(config);
  if (guidance.extra != nullptr) {
    require(vectors != nullptr, "method=" + config.method + " needs text vectors");
    // The values live as long as the vectors that they are a part of.
    options.extra = guidance.extra(config, {{vectors->width, {vectors, &vectors->values}},
                                            features.examples(),
                                            split.data,
                                            encoder_told(vectors->origin)});
  }
  const BackboneInfo& info = *find_backbone(config.model.name);
  std::unique_ptr<Backbone<float>> backbone = info.make(context, options);
  const FeatureSource& source = features.source();
  if (source.brand_rows == 1 && source.category_rows == 1 && info.reads_attributes) {
    require(config.data.allow_missing_attributes,
            split.data->source + ": no item has attributes, but model.name=" + config.model.name +
                " reads brand and categories: add an item file with attributes (data.items), or set "
                "data.allow_missing_attributes=true to leave these fields empty");
  }
  return backbone;
}

std::vector<Interaction> training_interactions(const Split& split) {
  std::vector<Interaction> interactions;
  for (Id user = 1; user < split.data->users.rows(); ++user) {
    for (const Id item : split.train_items(user)) interactions.push_back({user, item});
  }
  return interactions;
}

void load_buffers(const Context& context, const SafetensorsFile& checkpoint,
                  const std::vector<NamedBuffer>& buffers) {
  for (const NamedBuffer& named : buffers) {
    std::visit(
        [&](auto* buffer) {
          auto host = buffer->to_host(context);
          checkpoint.copy_to(named.name, std::span(host));
          using Value = typename std::decay_t<decltype(host)>::value_type;
          buffer->assign(context, std::span<const Value>(host));
        },
        named.buffer);
  }
}

std::unique_ptr<EvaluatedModel> load_model(const Context& context, const Config& config, const Split& split,
                                           const std::shared_ptr<const TextVectors>& vectors,
                                           const SafetensorsFile& checkpoint) {
  return has_mf_kernels(config) ? load<StoredMf>(context, config, split, vectors, checkpoint)
                                : load<StoredBackbone>(context, config, split, vectors, checkpoint);
}

EpochReport stored_report(const SafetensorsFile& checkpoint) {
  const auto stored = parse_json(checkpoint.meta("last_report"));
  try {
    return report_from_json(stored.value_or(nlohmann::json()));
  } catch (const nlohmann::json::exception& error) {
    throw Error(fmt::format(
        "checkpoint '{}' is damaged: its last_report: {}; restore a copy, or delete it and train again",
        checkpoint.path, error.what()));
  }
}

}  // namespace sllmr
