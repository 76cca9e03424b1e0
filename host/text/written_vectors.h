// Frozen vectors of texts about users or training rows, and their file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/text/encoder.h"
#include "host/text/written_texts.h"

namespace sllmr {

struct WrittenVectors {
  Subject about = Subject::user;      // or example
  std::vector<TextSubject> subjects;  // each once
  std::int64_t width = 0;
  std::vector<float> values;  // [subjects x width], row-major, every row of norm 1
  /// Texts: "encoder", "model", "template" and, of examples where it is known, "share" and "seed" of the
  /// pool. Of vectors that were just made also "run": what their making tells of itself.
  nlohmann::json origin;
};

/// "openai, all-MiniLM-L6-v2": encoder and model of an origin; empty where it does not tell.
std::string encoder_told(const nlohmann::json& origin);
/// Throws Error "<what>: ..." unless `vectors`, of a file of the key `what`, are of the space that the items'
/// are of: as wide, by the same encoder and model, as far as both are told.
void require_same_space(const WrittenVectors& vectors, const std::string& what, std::int64_t width,
                        const std::string& encoder);

/// All that the encoder is to read for written texts about users or examples: the texts, each on one line and
/// of kMostTextBytes at most, and what samples are compared with.
std::vector<std::string> texts_to_encode(const WrittenTexts& written, const Dataset& data);

/// Their vectors, one a subject, of which the encoder knows something; nothing after Ctrl-C. Of several
/// samples of an example the one with the largest mean, over what LLM-CF's release scores by an encoder, of:
/// relevance, the cosine with the user's last 20 purchases before the row; consistency, that with a sentence
/// which states the decision; completeness, the mean of those with four sentences that say what a chain of
/// thought should tell. (The release's fourth part, coherence, takes a library of sentiments.)
struct WrittenResult {
  std::optional<WrittenVectors> vectors;
  ScoreSummary summary;
};
WrittenResult encode_written(const EncoderInfo& encoder, const Dataset& data, const EncoderOptions& options,
                             const WrittenTexts& written);

/// Writes a safetensors file with "vectors" [n, width] of float32, "user", "item" and "position" [n] of
/// int32, "label" [n] of bytes, and the texts of `origin` and the hashes of `data` as its metadata, and
/// beside it the note PATH.json (host/scores/table_origin.h). Each appears whole or not at all.
void save_written_vectors(const std::string& path, const WrittenVectors& vectors, const Dataset& data);

/// Reads the file; the note is not needed. Throws Error naming path, defect and remedy for a file that is
/// damaged or something else, about something else, of other data, and for rows that do not have norm 1.
WrittenVectors load_written_vectors(const std::string& path, Subject about, const Dataset& data);

}  // namespace sllmr
