// Any server that speaks OpenAI's embeddings. Every item needs a vector, so every text an answer.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "host/ask/embedder.h"
#include "host/base/stopwatch.h"
#include "host/base/utf8.h"
#include "host/text/encoder.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// Those that are not empty.
std::vector<std::string> asked(std::span<const std::string> texts) {
  std::vector<std::string> all;
  std::ranges::copy_if(texts, std::back_inserter(all), [](const std::string& text) { return !text.empty(); });
  return all;
}

}  // namespace

Forecast forecast_openai(const EncoderOptions& options, std::span<const std::string> texts) {
  ScoreSummary summary;
  return Embedder(options.server, summary).forecast(asked(texts));
}

/// Every text that is not empty gets its vector, empty ones zero.
EncodedTexts encode_more_openai(const Dataset&, const EncoderOptions& options,
                                std::span<const std::string> texts) {
  const Stopwatch watch;
  require(is_utf8(options.server.chat.model), "the name of the model is not UTF-8");
  ScorerOptions server = options.server;
  server.max_bad_share = 0;
  EncodedTexts result;
  std::vector<Embedder::Vector> embedded;
  result.interrupted = !Embedder(server, result.summary).embed(asked(texts), embedded);
  if (result.interrupted) return result;
  const std::size_t width = embedded.empty() ? 1 : embedded.front().size();
  result.width = static_cast<std::int64_t>(width);
  result.values.assign(texts.size() * width, 0);
  auto next = embedded.begin();
  for (std::size_t k = 0; k < texts.size(); ++k) {
    if (texts[k].empty()) continue;
    require(next->size() == width,
            fmt::format("the server gives vectors of {} and of {} numbers", width, next->size()));
    std::ranges::copy(*next++, result.values.begin() + static_cast<std::ptrdiff_t>(k * width));
  }
  fill_costs(result.summary, server.prices, watch.seconds());
  return result;
}

EncodeResult encode_openai(const Dataset& data, const EncoderOptions& options) {
  const std::vector<std::string> texts = texts_of_items(data, options);
  EncodedTexts encoded = encode_more_openai(data, options, texts);
  EncodeResult result;
  result.interrupted = encoded.interrupted;
  result.summary = std::move(encoded.summary);
  if (result.interrupted) return result;
  const std::vector<double> rows(encoded.values.begin(), encoded.values.end());
  result.vectors = unit_vectors(rows, encoded.width, "openai", options.server.chat.model,
                                options.text_template, data, texts);
  result.vectors.origin["run"]["summary"] = result.summary;
  return result;
}

}  // namespace sllmr
