// Any server that speaks OpenAI's embeddings. Every item needs a vector, so every text an answer.
#include <fmt/format.h>

#include <chrono>
#include <string>
#include <vector>

#include "host/ask/embedder.h"
#include "host/base/utf8.h"
#include "host/text/encoder.h"
#include "host/text/item_texts.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

/// The items that have a text, with their texts.
struct Asked {
  std::vector<Id> items;
  std::vector<std::string> texts;
};
Asked asked(std::span<const std::string> by_item) {
  Asked all;
  for (std::size_t item = 1; item < by_item.size(); ++item) {
    if (by_item[item].empty()) continue;
    all.items.push_back(static_cast<Id>(item));
    all.texts.push_back(by_item[item]);
  }
  return all;
}

}  // namespace

Forecast forecast_openai(const Dataset& data, const EncoderOptions& options) {
  ScoreSummary summary;
  return Embedder(options.server, summary).forecast(asked(item_texts(data, options.text_template)).texts);
}

EncodeResult encode_openai(const Dataset& data, const EncoderOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::string& model = options.server.chat.model;
  require(is_utf8(model), "the name of the model is not UTF-8");
  const std::vector<std::string> texts = item_texts(data, options.text_template);
  const Asked all = asked(texts);
  ScorerOptions server = options.server;
  server.max_bad_share = 0;
  EncodeResult result;
  std::vector<Embedder::Vector> embedded;
  result.interrupted = !Embedder(server, result.summary).embed(all.texts, embedded);
  if (result.interrupted) return result;

  const std::size_t width = embedded.front().size();
  std::vector<double> rows(texts.size() * width, 0.0);
  for (std::size_t k = 0; k < all.items.size(); ++k) {
    require(embedded[k].size() == width,
            fmt::format("the server gives vectors of {} and of {} numbers", width, embedded[k].size()));
    std::ranges::copy(embedded[k], rows.begin() + static_cast<std::ptrdiff_t>(all.items[k] * width));
  }
  result.vectors = unit_vectors(rows, static_cast<std::int64_t>(width), "openai", model,
                                options.text_template, data, texts);
  fill_costs(result.summary, server.prices,
             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  result.vectors.origin["run"]["summary"] = result.summary;
  return result;
}

}  // namespace sllmr
