#include "host/text/written_vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "host/base/safetensors.h"
#include "host/base/template_text.h"
#include "host/text/decision_texts.h"
#include "host/text/item_texts.h"
#include "host/text/text_questions.h"
#include "host/text/text_vectors.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

constexpr const char* kMend = "make the vectors again with `sllmr llm ask` and `sllmr llm embed --texts`";
constexpr const char* kTold[] = {"encoder", "model", "template"};  // of the origin, always
constexpr const char* kOfPool[] = {"share", "seed"};               // where they are known
constexpr double kUnitError = 1e-4;  // that float32, and no other mistake, makes
/// What a chain of thought should tell.
constexpr const char* kCriteria[] = {"The user's preferences, as the purchases tell them.",
                                     "The features of the product that matter to the user.",
                                     "How the product meets or misses the user's preferences.",
                                     "The decision, and the reasons that lead to it."};

std::string in_hex(std::uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

/// Texts of one subject follow each other: [first, last) of each.
std::vector<std::pair<std::size_t, std::size_t>> samples_of(const WrittenTexts& written) {
  std::vector<std::pair<std::size_t, std::size_t>> runs;
  for (std::size_t k = 0; k < written.texts.size(); ++k) {
    if (k == 0 || !(written.texts[k].subject == written.texts[k - 1].subject)) runs.emplace_back(k, k);
    runs.back().second = k + 1;
  }
  return runs;
}

/// Where in texts_to_encode() each subject's own sentences stand, behind all texts and the criteria.
class Encoded {
 public:
  Encoded(const WrittenTexts& written, const EncodedTexts& encoded)
      : n_(written.texts.size()), width_(static_cast<std::size_t>(encoded.width)), values_(encoded.values) {}

  std::span<const float> of_text(std::size_t k) const { return row(k); }
  /// Mean over relevance, consistency and completeness; `subject`: how many with samples came before it.
  double score(std::size_t text, std::size_t subject) const {
    double completeness = 0;
    for (std::size_t k = 0; k < std::size(kCriteria); ++k)
      completeness += cosine(row(text), row(n_ + k)) / static_cast<double>(std::size(kCriteria));
    const std::size_t own = n_ + std::size(kCriteria) + 2 * subject;
    return (cosine(row(text), row(own)) + cosine(row(text), row(own + 1)) + completeness) / 3;
  }

 private:
  std::span<const float> row(std::size_t k) const { return std::span(values_).subspan(k * width_, width_); }
  /// Of rows that have norm 1 or 0.
  static double cosine(std::span<const float> a, std::span<const float> b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += static_cast<double>(a[d]) * static_cast<double>(b[d]);
    return sum;
  }

  std::size_t n_, width_;
  const std::vector<float>& values_;
};

bool is_known(std::span<const float> row) {
  return std::ranges::any_of(row, [](float x) { return x != 0; });
}

}  // namespace

std::string encoder_told(const nlohmann::json& origin) {
  const auto told = [&](const char* key) {
    const auto found = origin.find(key);
    return found != origin.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string encoder = told("encoder"), model = told("model");
  return encoder.empty() || model.empty() ? encoder : fmt::format("{}, {}", encoder, model);
}

void require_same_space(const WrittenVectors& vectors, const std::string& what, std::int64_t width,
                        const std::string& encoder) {
  require(vectors.width == width, fmt::format("{}: vectors of {} numbers, where the items' have {}; have one "
                                              "encoder make both",
                                              what, vectors.width, width));
  const std::string own = encoder_told(vectors.origin);
  require(own.empty() || encoder.empty() || own == encoder,
          fmt::format("{}: vectors by {}, where the items' are by {}; have one encoder make both", what, own,
                      encoder));
}

std::vector<std::string> texts_to_encode(const WrittenTexts& written, const Dataset& data) {
  std::vector<std::string> texts;
  const auto add = [&](const std::string& text) { texts.push_back(one_line(text, kMostTextBytes)); };
  for (const WrittenText& text : written.texts) add(text.text);
  const auto runs = samples_of(written);
  if (runs.size() == written.texts.size()) return texts;
  for (const char* criterion : kCriteria) add(criterion);
  for (const auto& [first, last] : runs) {
    if (last - first < 2) continue;
    const TextSubject& of = written.texts[first].subject;
    add(bought_text(data, {of.user, of.item, of.position}, history_of_prompts(Subject::example)));
    add(decision_text(data, of.item, of.label != 0));
  }
  return texts;
}

WrittenResult encode_written(const EncoderInfo& encoder, const Dataset& data, const EncoderOptions& options,
                             const WrittenTexts& written) {
  EncodedTexts encoded = encoder.encode_more(data, options, texts_to_encode(written, data));
  WrittenResult result;
  result.summary = std::move(encoded.summary);
  if (encoded.interrupted) return result;

  WrittenVectors vectors;
  vectors.about = written.about;
  vectors.width = encoded.width;
  const Encoded of(written, encoded);
  std::size_t with_samples = 0, unknown = 0;
  for (const auto& [first, last] : samples_of(written)) {
    std::size_t best = first;
    double highest = 0;
    for (std::size_t k = first; k < last && last - first > 1; ++k) {
      const double score = of.score(k, with_samples);
      if (k == first || score > highest) {
        best = k;
        highest = score;
      }
    }
    with_samples += last - first > 1;
    const std::span<const float> row = of.of_text(best);
    if (!is_known(row)) {
      ++unknown;
      continue;
    }
    vectors.subjects.push_back(written.texts[best].subject);
    vectors.values.insert(vectors.values.end(), row.begin(), row.end());
  }
  require(!vectors.subjects.empty(), fmt::format("the encoder {} knows nothing of any of the {} texts",
                                                 encoder.name, written.texts.size()));
  vectors.origin = {{"encoder", encoder.name},
                    {"model", options.server.chat.model},
                    {"template", options.text_template},
                    {"run", {{"unknown", unknown}, {"chosen_among_samples", with_samples}}}};
  if (result.summary.answers > 0) vectors.origin["run"]["summary"] = result.summary;
  result.vectors = std::move(vectors);
  return result;
}

void save_written_vectors(const std::string& path, const WrittenVectors& vectors, const Dataset& data) {
  std::map<std::string, std::string> metadata = {{"about", std::string(name_of(vectors.about))},
                                                 {"data_hash", in_hex(data.hash)},
                                                 {"text_hash", in_hex(data.text_hash)}};
  for (const char* key : kTold) metadata[key] = vectors.origin.at(key).get<std::string>();
  for (const char* key : kOfPool) {
    if (vectors.origin.contains(key)) metadata[key] = vectors.origin[key].get<std::string>();
  }
  std::vector<std::int32_t> users, items, positions;
  std::vector<std::uint8_t> labels;
  for (const TextSubject& subject : vectors.subjects) {
    users.push_back(subject.user);
    items.push_back(subject.item);
    positions.push_back(subject.position);
    labels.push_back(static_cast<std::uint8_t>(subject.label));
  }
  const std::int64_t n = std::ssize(vectors.subjects);
  const TensorView tensors[] = {
      tensor_view<float>("vectors", {n, vectors.width}, vectors.values),
      tensor_view<std::int32_t>("user", {n}, users), tensor_view<std::int32_t>("item", {n}, items),
      tensor_view<std::int32_t>("position", {n}, positions), tensor_view<std::uint8_t>("label", {n}, labels)};
  write_safetensors(path, tensors, metadata);
  write_vectors_note(path, vectors.origin, data, {{"width", vectors.width}, {"vectors", n}});
}

WrittenVectors load_written_vectors(const std::string& path, Subject about, const Dataset& data) {
  const std::string what = fmt::format("vectors of texts about {}s", name_of(about));
  const SafetensorsFile file =
      read_safetensors(path, {what, kMend, "it holds none; make them with `sllmr llm embed --texts`"});
  const auto check = [&](bool holds, const std::string& defect) {
    require(holds, fmt::format("{} '{}': {}; {}", what, path, defect, kMend));
  };
  WrittenVectors vectors;
  vectors.about = about;
  const auto stored = file.metadata.find("about");
  check(stored != file.metadata.end(), "the file does not tell what its texts are about");
  check(stored->second == name_of(about), fmt::format("they are about {}s", stored->second));
  for (const char* key : kTold) {
    check(file.metadata.contains(key), fmt::format("their metadata do not tell '{}'", key));
    vectors.origin[key] = file.meta(key);
  }
  for (const char* key : kOfPool) {
    if (file.metadata.contains(key)) vectors.origin[key] = file.meta(key);
  }
  check(file.meta("data_hash") == in_hex(data.hash),
        fmt::format("{} has other users, items or interactions now", data.name));
  check(file.meta("text_hash") == in_hex(data.text_hash),
        fmt::format("the items of {} have other texts now", data.name));

  const StoredTensor& rows = file.tensor("vectors");
  check(rows.dtype == DType::f32 && rows.shape.size() == 2 && rows.shape[0] >= 1 && rows.shape[1] >= 1,
        "the tensor 'vectors' is no float32 matrix");
  const auto n = static_cast<std::size_t>(rows.shape[0]), width = static_cast<std::size_t>(rows.shape[1]);
  vectors.width = rows.shape[1];
  vectors.values.resize(n * width);
  file.copy_to("vectors", std::span(vectors.values));
  std::vector<std::int32_t> users(n), items(n), positions(n);
  std::vector<std::uint8_t> labels(n);
  file.copy_to("user", std::span(users));
  file.copy_to("item", std::span(items));
  file.copy_to("position", std::span(positions));
  file.copy_to("label", std::span(labels));
  for (std::size_t k = 0; k < n; ++k) {
    check(users[k] >= 1 && users[k] < data.users.rows() && items[k] >= 0 && items[k] < data.items.rows() &&
              positions[k] >= 0 && positions[k] <= std::ssize(data.user_history(users[k])),
          fmt::format("row {} is of no user, item or interaction of {}", k, data.name));
    vectors.subjects.push_back({users[k], items[k], positions[k], static_cast<std::int8_t>(labels[k])});
    double squares = 0;
    for (const float x : std::span(vectors.values).subspan(k * width, width))
      squares += static_cast<double>(x) * static_cast<double>(x);
    check(std::fabs(std::sqrt(squares) - 1) <= kUnitError,
          fmt::format("row {} has norm {:.6g}, not 1", k, std::sqrt(squares)));
  }
  return vectors;
}

}  // namespace sllmr
