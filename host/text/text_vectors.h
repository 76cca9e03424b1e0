// A frozen vector of every item, made of its text by an encoder (host/text/encoder.h), and its file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "host/data/dataset.h"

namespace sllmr {

struct TextVectors {
  std::int64_t width = 0;
  std::vector<float> values;  // [(items + 1) x width], row-major; row 0 (padding) zero, every other of norm 1
  /// Where they come from. Texts: "encoder", "model" (may be empty), "template", "items_hash", "texts_hash"
  /// and, of texts that somebody wrote about the items, "written_of", text_hash() of the data as it was.
  /// Of vectors that were just made also "run": what their making tells of itself.
  nlohmann::json origin;

  std::span<const float> of(Id item) const {
    return std::span(values).subspan(static_cast<std::size_t>(item * width), static_cast<std::size_t>(width));
  }
};

/// Vectors of an encoder's `rows` [(items + 1) x width] of any length: each in unit length, and one of length
/// 0 (below 1e-6 of the longest), of an item of whose text the encoder knows nothing, in the direction of all
/// others' sum. origin["run"]["placeholders"] counts those. Throws Error for NaN, infinities, and where no
/// row has a length.
TextVectors unit_vectors(std::span<const double> rows, std::int64_t width, const std::string& encoder,
                         const std::string& model, const std::string& text_template, const Dataset& data,
                         std::span<const std::string> texts);

/// Says in the origin that the texts were written about the items of `data`, not made of their fields.
void mark_as_written(TextVectors& vectors, const Dataset& data);

/// Writes a safetensors file with the tensor "items", [items + 1, width] of float32, and the texts of
/// `origin` as its metadata, and beside it the note PATH.json (host/scores/table_origin.h). Each appears
/// whole or not at all.
void save_text_vectors(const std::string& path, const TextVectors& vectors, const Dataset& data);
/// The note of such a file, or of one of written texts' vectors: what `origin` says, and `more` of its
/// making.
void write_vectors_note(const std::string& path, const nlohmann::json& origin, const Dataset& data,
                        const nlohmann::json& more);

/// Reads the file; the note is not needed. Throws Error naming path, defect and remedy for a file that is
/// damaged or something else, of other items, another order or other texts than `data` has (of written texts:
/// of items that had other texts then), and for rows that do not have norm 1 (within 1e-4).
TextVectors load_text_vectors(const std::string& path, const Dataset& data);

}  // namespace sllmr
