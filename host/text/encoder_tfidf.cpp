// The stand-in for a sentence encoder where none is at hand: latent semantic analysis (Deerwester et al.
// 1990) of the catalogue, which is a truncated SVD of the TF-IDF vectors of its texts.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/base/progress.h"
#include "host/base/tf_idf.h"
#include "host/text/encoder.h"
#include "host/text/truncated_svd.h"

namespace sllmr {
namespace {

/// The analysis of a catalogue.
class Analysis {
 public:
  Analysis(std::span<const std::string> texts, const EncoderOptions& options) : width_(options.width) {
    constexpr std::uint64_t kSeed = 1;  // of the sketch: vectors belong to the data, not to a run
    for (const std::string& text : texts) {
      std::map<Id, double> counts;
      for_each_word(text, [&](const std::string& word) { ++counts[words_.add(word)]; });
      builder_.add(counts);
    }
    std::optional<Progress> bar;
    const auto progress = [&](int done, int total) {
      if (!options.server.progress) return;
      if (!bar) bar.emplace("embedding", total, "products");
      bar->update(done);
    };
    index_ = builder_.finish();
    directions_ = leading_directions(index_, width_, kSeed, progress);
  }

  /// [texts x width], of any length.
  std::vector<double> of_catalogue() const { return project(index_, directions_, width_); }
  std::vector<double> of(std::span<const std::string> texts) const {
    std::vector<std::map<Id, double>> counts(texts.size());
    for (std::size_t k = 0; k < texts.size(); ++k) {
      for_each_word(texts[k], [&](const std::string& word) {
        if (const Id id = words_.find(word); id != 0) ++counts[k][id];
      });
    }
    return project(builder_.of_same_terms(counts), directions_, width_);
  }

 private:
  std::int64_t width_;
  TokenMap words_;
  TfIdfBuilder builder_;
  TfIdf index_;
  std::vector<double> directions_;
};

}  // namespace

EncodeResult encode_tfidf(const Dataset& data, const EncoderOptions& options) {
  const std::vector<std::string> texts = texts_of_items(data, options);
  EncodeResult result;
  result.vectors = unit_vectors(Analysis(texts, options).of_catalogue(), options.width, "tfidf", "",
                                options.text_template, data, texts);
  return result;
}

EncodedTexts encode_more_tfidf(const Dataset& data, const EncoderOptions& options,
                               std::span<const std::string> texts) {
  std::vector<double> rows = Analysis(texts_of_items(data, options), options).of(texts);
  const auto width = static_cast<std::size_t>(options.width);
  for (std::size_t first = 0; first < rows.size(); first += width) {
    double squares = 0;
    for (std::size_t d = first; d < first + width; ++d) squares += rows[d] * rows[d];
    for (std::size_t d = first; squares > 0 && d < first + width; ++d) rows[d] /= std::sqrt(squares);
  }
  return {.width = options.width, .values = {rows.begin(), rows.end()}, .summary = {}};
}

}  // namespace sllmr
