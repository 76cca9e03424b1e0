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
  std::string text_template;                      // see item_texts(); or what `texts` are
  std::vector<std::string> texts;                 // [items + 1]: these instead of the template's; or none
  std::int64_t width = LlmConfig().vector_width;  // of an encoder that may choose
  std::string file;                               // finished vectors
  ScorerOptions server;                           // as Embedder reads it; its progress is every encoder's
};

struct EncodeResult {
  TextVectors vectors;
  ScoreSummary summary;      // of one that asks
  bool interrupted = false;  // Ctrl-C: no vectors; what was answered is in the cache
};

/// Vectors of texts that are no items'.
struct EncodedTexts {
  std::int64_t width = 0;
  std::vector<float> values;  // [texts x width], row-major: of unit length, or zero where nothing is known
  ScoreSummary summary;       // of an encoder that asks
  bool interrupted = false;   // as EncodeResult's
};

struct EncoderInfo {
  const char* name;
  const char* summary;  // one line for `sllmr llm embed --help`; a stand-in says that it is one
  EncodeResult (*encode)(const Dataset& data, const EncoderOptions& options);
  /// What these texts will cost, asking nobody; empty ones are left out. Null for one that asks nobody ever.
  /// Training cannot call others.
  Forecast (*forecast)(const EncoderOptions& options, std::span<const std::string> texts);
  /// Further texts in the space of encode()'s; null for one that reads finished vectors.
  EncodedTexts (*encode_more)(const Dataset& data, const EncoderOptions& options,
                              std::span<const std::string> texts);
  bool makes;                      // vectors, rather than reading finished ones
  const char* text_template;       // where none is given
  std::vector<std::string> flags;  // of `sllmr llm embed`, that not every encoder has a use for
};
/// Can training have it make vectors of further texts?
inline bool makes_more_in_training(const EncoderInfo& encoder) {
  return encoder.encode_more != nullptr && encoder.forecast == nullptr;
}
/// options.texts, or item_texts().
std::vector<std::string> texts_of_items(const Dataset& data, const EncoderOptions& options);
const std::vector<EncoderInfo>& encoders();
/// Throws Error naming the nearest known encoder.
const EncoderInfo& find_encoder(const std::string& name);

/// The vectors that a run trains with, as llm.encoder, llm.vectors and llm.vector_width say: made here or
/// read, and nobody is asked. Throws Error for an encoder that would have to ask, as load_text_vectors(), and
/// as item_texts().
std::shared_ptr<const TextVectors> text_vectors_of(const Config& config, const Dataset& data);
/// Those of further texts, as EncodedTexts::values. Throws Error where training cannot make them.
std::vector<float> more_vectors_of(const Config& config, const Dataset& data,
                                   std::span<const std::string> texts);

}  // namespace sllmr
