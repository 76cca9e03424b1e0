// The stand-in for a sentence encoder where none is at hand: latent semantic analysis (Deerwester et al.
// 1990) of the catalogue, which is a truncated SVD of the TF-IDF vectors of its texts.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/base/progress.h"
#include "host/base/tf_idf.h"
#include "host/text/encoder.h"
#include "host/text/item_texts.h"
#include "host/text/truncated_svd.h"

namespace sllmr {

EncodeResult encode_tfidf(const Dataset& data, const EncoderOptions& options) {
  constexpr std::uint64_t kSeed = 1;  // of the sketch: vectors belong to the data, not to a run
  const std::vector<std::string> texts = item_texts(data, options.text_template);
  TfIdfBuilder builder;
  TokenMap words;
  for (const std::string& text : texts) {
    std::map<Id, double> counts;
    for_each_word(text, [&](const std::string& word) { ++counts[words.add(word)]; });
    builder.add(counts);
  }
  std::optional<Progress> bar;
  const auto progress = [&](int done, int total) {
    if (!options.server.progress) return;
    if (!bar) bar.emplace("embedding", total, "products");
    bar->update(done);
  };
  const std::vector<double> rows = project_on_leading(builder.finish(), options.width, kSeed, progress);
  EncodeResult result;
  result.vectors = unit_vectors(rows, options.width, "tfidf", "", options.text_template, data, texts);
  return result;
}

}  // namespace sllmr
