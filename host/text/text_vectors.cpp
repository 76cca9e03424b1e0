#include "host/text/text_vectors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>

#include "host/base/safetensors.h"
#include "host/scores/table_origin.h"
#include "host/text/item_texts.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr const char* kTensor = "items";
constexpr const char* kRemedy = "make the vectors again with `sllmr llm embed`";
constexpr const char* kTexts[] = {"encoder", "model", "template", "items_hash",
                                  "texts_hash"};  // of the origin
constexpr const char* kWritten = "written_of";
constexpr double kShortest = 1e-6;   // of the longest: what an encoder's rounding leaves of nothing
constexpr double kNormError = 1e-4;  // that float32, and no other mistake, makes

std::string hex(std::uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

template <class Number>
double norm(std::span<const Number> row) {
  double squares = 0;
  for (const Number x : row) squares += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(squares);
}

}  // namespace

TextVectors unit_vectors(std::span<const double> rows, std::int64_t width, const std::string& encoder,
                         const std::string& model, const std::string& text_template, const Dataset& data,
                         std::span<const std::string> texts) {
  const auto size = static_cast<std::size_t>(width);
  const auto row_of = [&](Id item) { return rows.subspan(static_cast<std::size_t>(item) * size, size); };
  std::vector<double> norms(texts.size(), 0.0);
  for (Id item = 1; item < data.items.rows(); ++item) {
    double& length = norms[static_cast<std::size_t>(item)];
    length = norm(row_of(item));
    require(std::isfinite(length), fmt::format("the encoder {} gives item '{}' a vector that is not finite",
                                               encoder, data.items.token(item)));
  }
  const double shortest = kShortest * std::ranges::max(norms);
  std::vector<double> sum(size, 0.0);
  for (Id item = 1; item < data.items.rows(); ++item) {
    const double length = norms[static_cast<std::size_t>(item)];
    for (std::size_t k = 0; k < size && length > shortest; ++k) sum[k] += row_of(item)[k] / length;
  }
  const double length_of_sum = norm(std::span<const double>(sum));
  require(length_of_sum > 0, fmt::format("the encoder {} gives the items' vectors no direction", encoder));

  TextVectors vectors;
  vectors.width = width;
  vectors.values.resize(texts.size() * size);
  std::int64_t placeholders = 0;
  for (Id item = 1; item < data.items.rows(); ++item) {
    const auto at = static_cast<std::size_t>(item);
    const bool is_known = norms[at] > shortest;
    placeholders += !is_known;
    const std::span<const double> row = is_known ? row_of(item) : std::span<const double>(sum);
    const double length = is_known ? norms[at] : length_of_sum;
    for (std::size_t k = 0; k < size; ++k)
      vectors.values[at * size + k] = static_cast<float>(row[k] / length);
  }
  vectors.origin = {{"encoder", encoder},
                    {"model", model},
                    {"template", text_template},
                    {"items_hash", hex(items_hash(data))},
                    {"texts_hash", hex(texts_hash(texts))},
                    {"run", {{"placeholders", placeholders}}}};
  return vectors;
}

void save_text_vectors(const std::string& path, const TextVectors& vectors, const Dataset& data) {
  std::map<std::string, std::string> metadata;
  for (const char* key : kTexts) metadata[key] = vectors.origin.at(key).get<std::string>();
  if (vectors.origin.contains(kWritten)) metadata[kWritten] = vectors.origin[kWritten].get<std::string>();
  const std::vector<std::int64_t> shape = {data.items.rows(), vectors.width};
  const TensorView tensor = tensor_view<float>(kTensor, shape, vectors.values);
  write_safetensors(path, std::span(&tensor, 1), metadata);
  write_vectors_note(path, vectors.origin, data,
                     {{"width", vectors.width},
                      {"items_hash", metadata["items_hash"]},
                      {"texts_hash", metadata["texts_hash"]}});
}

void write_vectors_note(const std::string& path, const nlohmann::json& origin, const Dataset& data,
                        const nlohmann::json& more) {
  const auto told = [&](const char* key) { return origin.at(key).get<std::string>(); };
  TableOrigin note{told("encoder"),  told("model"), told("template"),
                   data.name,        data.hash,     static_cast<std::int64_t>(std::time(nullptr)),
                   origin.at("run"), data.text_hash};
  note.run.update(more);
  write_origin(path, note);
}

void mark_as_written(TextVectors& vectors, const Dataset& data) {
  vectors.origin[kWritten] = hex(data.text_hash);
}

TextVectors load_text_vectors(const std::string& path, const Dataset& data) {
  const SafetensorsFile file = read_safetensors(
      path, {"text vectors", kRemedy, "it is no file of text vectors; make one with `sllmr llm embed`"});
  const auto check = [&](bool holds, const std::string& defect) {
    require(holds, fmt::format("text vectors '{}': {}; {}", path, defect, kRemedy));
  };
  const StoredTensor& items = file.tensor(kTensor);
  check(items.dtype == DType::f32 && items.shape.size() == 2 && items.shape[1] >= 1,
        fmt::format("the tensor '{}' is no float32 matrix of items x width", kTensor));
  check(items.shape[0] == data.items.rows(),
        fmt::format("they are of {} items, {} has {}", items.shape[0] - 1, data.name, data.items.count()));
  TextVectors vectors;
  for (const char* key : kTexts) {
    check(file.metadata.contains(key), fmt::format("their metadata do not tell '{}'", key));
    vectors.origin[key] = file.meta(key);
  }
  check(file.meta("items_hash") == hex(items_hash(data)),
        fmt::format("they are of other items than {} has, or in another order", data.name));
  const auto written = file.metadata.find(kWritten);
  const bool same_texts =
      written == file.metadata.end()
          ? file.meta("texts_hash") == hex(texts_hash(item_texts(data, file.meta("template"))))
          : written->second == hex(data.text_hash);
  check(same_texts, fmt::format("the items of {} have other texts now", data.name));

  vectors.width = items.shape[1];
  vectors.values.resize(items.bytes.size() / sizeof(float));
  file.copy_to(kTensor, std::span(vectors.values));
  check(norm(vectors.of(0)) == 0, "row 0, the padding, is not zero");
  for (Id item = 1; item < data.items.rows(); ++item) {
    const double length = norm(vectors.of(item));
    check(std::fabs(length - 1) <= kNormError,
          fmt::format("the vector of item '{}' (row {}) has norm {:.6g}, not 1", data.items.token(item), item,
                      length));
  }
  return vectors;
}

}  // namespace sllmr
