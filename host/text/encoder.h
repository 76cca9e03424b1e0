// Who makes the vectors of items' texts. A new encoder is one file, encoder_NAME.cpp, and its line in
// encoder.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/ask/cost.h"
#include "host/ask/scorer.h"
#include "host/config/config.h"
#include "host/data/dataset.h"
#include "host/text/text_vectors.h"

namespace sllmr {

/// What an encoder may be told. Each reads what it needs.
struct EncoderOptions {
  std::string text_template;                      // see item_texts()
  std::int64_t width = LlmConfig().vector_width;  // of an encoder that may choose
  std::string file;                               // finished vectors
  ScorerOptions server;                           // as Embedder reads it; its progress is every encoder's
};

struct EncodeResult {
  TextVectors vectors;
  ScoreSummary summary;      // of one that asks
  bool interrupted = false;  // Ctrl-C: no vectors; what was answered is in the cache
};

struct EncoderInfo {
  const char* name;
  const char* summary;  // one line for `sllmr llm embed --help`; a stand-in says that it is one
  EncodeResult (*encode)(const Dataset& data, const EncoderOptions& options);
  /// What encode() will cost, asking nobody; null for one that asks nobody ever. Training cannot call others.
  Forecast (*forecast)(const Dataset& data, const EncoderOptions& options);
  /// Unit vectors of further texts beside those of encode(), [texts x width] row-major, zero for a text of
  /// which the encoder knows nothing; null for one that cannot make them in training.
  std::vector<float> (*encode_more)(const Dataset& data, const EncoderOptions& options,
                                    std::span<const std::string> texts);
  bool makes;                      // vectors, rather than reading finished ones
  const char* text_template;       // where none is given
  std::vector<std::string> flags;  // of `sllmr llm embed`, that not every encoder has a use for
};
const std::vector<EncoderInfo>& encoders();
/// Throws Error naming the nearest known encoder.
const EncoderInfo& find_encoder(const std::string& name);

/// The vectors that a run trains with, as llm.encoder, llm.vectors and llm.vector_width say: made here or
/// read, and nobody is asked. Throws Error for an encoder that would have to ask, as load_text_vectors(), and
/// as item_texts().
std::shared_ptr<const TextVectors> text_vectors_of(const Config& config, const Dataset& data);
/// Those of further texts, as EncoderInfo::encode_more. Throws Error where the run's encoder has none.
std::vector<float> more_vectors_of(const Config& config, const Dataset& data,
                                   std::span<const std::string> texts);

}  // namespace sllmr
