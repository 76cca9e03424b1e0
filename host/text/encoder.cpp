#include "host/text/encoder.h"

#include <fmt/format.h>

#include "host/base/nearest.h"
#include "host/text/item_texts.h"
#include "kernels/exec/error.h"

namespace sllmr {

EncodeResult encode_tfidf(const Dataset& data, const EncoderOptions& options);
EncodedTexts encode_more_tfidf(const Dataset& data, const EncoderOptions& options,
                               std::span<const std::string> texts);
EncodeResult encode_file(const Dataset& data, const EncoderOptions& options);
EncodeResult encode_openai(const Dataset& data, const EncoderOptions& options);
EncodedTexts encode_more_openai(const Dataset& data, const EncoderOptions& options,
                                std::span<const std::string> texts);
Forecast forecast_openai(const EncoderOptions& options, std::span<const std::string> texts);

namespace {

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const EncoderInfo& encoder : encoders()) all.emplace_back(encoder.name);
  return all;
}

EncoderOptions options_of(const Config& config, const EncoderInfo& encoder) {
  EncoderOptions options;
  options.text_template = encoder.text_template;
  options.width = config.llm.vector_width;
  options.file = config.llm.vectors;
  return options;
}

}  // namespace

const std::vector<EncoderInfo>& encoders() {
  static const std::vector<EncoderInfo> all = {
      {"tfidf",
       "stand-in without a language model: TF-IDF of the texts' words, reduced by a truncated SVD",
       encode_tfidf,
       nullptr,
       encode_more_tfidf,
       true,
       "{title}; {brand}; {categories}",  // labels would be words
       {"--width"}},
      {"openai",
       "a sentence encoder behind a /v1/embeddings server (--url, --model)",
       encode_openai,
       forecast_openai,
       encode_more_openai,
       true,
       "title: {title}; brand: {brand}; category: {categories}",
       {"--url", "--server", "--model", "--key-env", "--in-flight", "--requests-per-minute",
        "--tokens-per-minute", "--timeout", "--tries", "--retry-delay", "--cache", "--price-in", "--forecast",
        "--budget-tokens", "--budget-money"}},
      {"file", "reads finished vectors", encode_file, nullptr, nullptr, false, "", {}},
  };
  return all;
}

const EncoderInfo& find_encoder(const std::string& name) {
  for (const EncoderInfo& encoder : encoders()) {
    if (encoder.name == name) return encoder;
  }
  throw Error(fmt::format("unknown encoder '{}'; did you mean '{}'?", name, nearest_name(name, names())));
}

std::vector<std::string> texts_of_items(const Dataset& data, const EncoderOptions& options) {
  return options.texts.empty() ? item_texts(data, options.text_template) : options.texts;
}

std::shared_ptr<const TextVectors> text_vectors_of(const Config& config, const Dataset& data) {
  require_known_name(config, "llm.encoder", names());
  const EncoderInfo& encoder = find_encoder(config.llm.encoder);
  require(
      encoder.forecast == nullptr,
      fmt::format("llm.encoder={0} asks a server, and training asks nobody: make the vectors once, with "
                  "`sllmr llm embed --data {1} --encoder {0} --url URL --model MODEL --out V.safetensors`, "
                  "and train with llm.encoder=file llm.vectors=V.safetensors",
                  encoder.name, config.data.path));
  return std::make_shared<const TextVectors>(encoder.encode(data, options_of(config, encoder)).vectors);
}

std::vector<float> more_vectors_of(const Config& config, const Dataset& data,
                                   std::span<const std::string> texts) {
  const EncoderInfo& encoder = find_encoder(config.llm.encoder);
  require(makes_more_in_training(encoder),
          fmt::format("llm.encoder={} has no vectors of other texts than the items'", encoder.name));
  return encoder.encode_more(data, options_of(config, encoder), texts).values;
}

}  // namespace sllmr
