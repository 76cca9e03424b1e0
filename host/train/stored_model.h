// The model of a stored run, for evaluation: its parameters alone, without optimiser, guidance and training
// rows.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "host/base/safetensors.h"
#include "host/config/config.h"
#include "host/data/features.h"
#include "host/data/split.h"
#include "host/eval/protocol.h"
#include "host/guidance/guidance.h"
#include "host/text/text_vectors.h"
#include "models/backbone.h"
#include "models/mf.h"
#include "models/named_buffer.h"
#include "models/registry.h"

namespace sllmr {

/// Is the configuration's model trained by the kernels of matrix factorisation (mf_trainer.h), rather than
/// through the contract of backbones (deep_trainer.h)? Throws Error for an unknown method.
bool has_mf_kernels(const Config& config);

/// The matrix factorisation of the configuration, with this optimiser's state.
MfOptions mf_options(const Config& config, OptimizerKind optimizer);

/// Every (user, item) of training: what a backbone that propagates over a graph may know.
std::vector<Interaction> training_interactions(const Split& split);

/// What the backbone of the configuration reads of `data`, which must outlive the result.
FeatureSource features_of(const Config& config, const Dataset& data);
/// The backbone of the configuration. Throws Error where it reads attributes that the data do not have,
/// unless data.allow_missing_attributes is set. `vectors` are those of a method that has it read an extra
/// vector; else they may be null. `shards`: the rows of the tables that this rank keeps.
std::unique_ptr<Backbone<float>> make_backbone(const Context& context, const Config& config,
                                               const FeatureStore& features, const Split& split,
                                               const std::shared_ptr<const TextVectors>& vectors,
                                               const std::array<RowShard, kVocabularies>& shards = {});

/// Fills the buffers with the tensors of these names. Throws Error when the checkpoint has other tensors or
/// shapes.
void load_buffers(const Context& context, const SafetensorsFile& checkpoint,
                  const std::vector<NamedBuffer>& buffers);

/// The model of a checkpoint of `config`'s run, of which it needs the tensors of the model alone. Keeps
/// references to the arguments but the checkpoint. `vectors` as those of make_backbone(). Throws Error when
/// the checkpoint has other tensors or shapes.
std::unique_ptr<EvaluatedModel> load_model(const Context& context, const Config& config, const Split& split,
                                           const std::shared_ptr<const TextVectors>& vectors,
                                           const SafetensorsFile& checkpoint);

/// What training said last before the checkpoint. Throws Error for a damaged one.
EpochReport stored_report(const SafetensorsFile& checkpoint);

}  // namespace sllmr
