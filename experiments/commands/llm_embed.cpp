// `sllmr llm embed`: vectors of the items' texts, or of texts that a language model has written.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/commands/flags.h"
#include "experiments/commands/llm_command.h"
#include "host/base/template_text.h"
#include "host/scores/table_origin.h"
#include "host/text/encoder.h"
#include "host/text/item_texts.h"
#include "host/text/text_vectors.h"
#include "host/text/written_vectors.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

using nlohmann::json;

struct EmbedFlags {
  DataFlags data;
  EncoderOptions encoding;
  std::string encoder, texts, out, key_variable;
  WholeBudget budget;
  bool force = false, forecast_only = false;
};

/// Texts of a file, and the note beside it.
struct Written {
  WrittenTexts texts;
  std::optional<TableOrigin> note;
};

/// Throws Error for texts that were written of other data.
Written read_written(const std::string& path, const Dataset& data) {
  Written written{load_written_texts(path, data), read_origin(path)};
  if (written.note && !is_origin_of(*written.note, path)) {
    fmt::print(stderr, "note: {} is of another file than '{}'; what the texts cost is not known\n",
               origin_path(path), path);
    written.note.reset();
  }
  if (!written.note) return written;
  const bool items = written.texts.about == Subject::item;
  require(
      written.note->text_hash == data.text_hash && (items || written.note->data_hash == data.hash),
      fmt::format("'{}': {} has other {} than when the texts were written; ask again with `sllmr llm ask`, "
                  "which pays for what is new alone",
                  path, data.name, items ? "items or item texts" : "interactions or item texts"));
  return written;
}

/// Of every item the text that was written of it, empty for none.
std::vector<std::string> by_item(const WrittenTexts& written, const Dataset& data) {
  std::vector<std::string> texts(static_cast<std::size_t>(data.items.rows()));
  for (const auto& [subject, text] : written.texts)
    texts[static_cast<std::size_t>(subject.item)] = one_line(text, kMostTextBytes);
  return texts;
}

/// For the note of vectors: who wrote their texts, and at what cost.
json note_of_texts(const TableOrigin& note) {
  json told = {{"model", note.model}, {"template", note.prompt}};
  for (const char* key : {"server", "template_hash", "settings", "summary"})
    if (note.run.contains(key)) told[key] = note.run[key];
  return told;
}

void print_bill_of(const EncoderInfo& encoder, const ScoreSummary& summary) {
  if (encoder.forecast == nullptr) return;
  fmt::print("{:>12}  different texts: {} from the cache\n", summary.answers, summary.cached);
  fmt::print("{:>12}  tokens in; of this run {}\n", summary.tokens_in, summary.paid_tokens_in);
  fmt::print("{:>12.4f}  money; of this run {:.4f}, in {:.1f} s\n", summary.money, summary.paid_money,
             summary.seconds);
}

[[noreturn]] void stop(const EmbedFlags& flags) {
  fmt::print("stopped; what was answered is in {}, and the same command goes on\n",
             flags.encoding.server.cache);
  throw Interrupted();
}

/// False: that was all that is wanted.
bool forecast_allows(EmbedFlags& flags, const EncoderInfo& encoder, const std::vector<std::string>& texts,
                     const std::string& unit) {
  if (encoder.forecast == nullptr) return true;
  take_key(flags.encoding.server, flags.key_variable);
  const Forecast forecast = encoder.forecast(flags.encoding, texts);
  print_forecast(forecast, unit, flags.encoding.server.cache);
  if (flags.forecast_only) return false;
  require_budget(flags.budget, forecast, "every text needs a vector");
  return true;
}

void embed_items(EmbedFlags& flags, const EncoderInfo& encoder, const Dataset& data,
                 const std::optional<Written>& written) {
  EncoderOptions& encoding = flags.encoding;
  if (written) encoding.texts = by_item(written->texts, data);
  if (!forecast_allows(flags, encoder, texts_of_items(data, encoding), "different texts of items")) return;
  EncodeResult result = encoder.encode(data, encoding);
  if (result.interrupted) stop(flags);
  if (written) {
    mark_as_written(result.vectors, data);
    if (written->note) result.vectors.origin["run"]["texts"] = note_of_texts(*written->note);
  }
  save_text_vectors(flags.out, result.vectors, data);
  const std::string& model = encoding.server.chat.model;
  fmt::print("wrote {} (vectors of {} by {}{})\n", flags.out, data.name, encoder.name,
             model.empty() ? "" : ":" + model);
  fmt::print("{:>12}  items, vectors of {} numbers\n", data.items.count(), result.vectors.width);
  fmt::print("{:>12}  of them know nothing of the item and are the mean of the others\n",
             result.vectors.origin.at("run").at("placeholders").get<std::int64_t>());
  print_bill_of(encoder, result.summary);
}

void embed_written(EmbedFlags& flags, const EncoderInfo& encoder, const Dataset& data,
                   const Written& written) {
  const std::string about(name_of(written.texts.about));
  EncoderOptions& encoding = flags.encoding;
  if (!forecast_allows(flags, encoder, texts_to_encode(written.texts, data),
                       fmt::format("different texts about {}s", about)))
    return;
  WrittenResult result = encode_written(encoder, data, encoding, written.texts);
  if (!result.vectors) stop(flags);
  WrittenVectors& vectors = *result.vectors;
  vectors.origin["template"] = written.note ? written.note->prompt : flags.texts;
  if (written.note) {
    vectors.origin["run"]["texts"] = note_of_texts(*written.note);
    const json settings = written.note->run.value("settings", json::object());
    for (const char* key : {"share", "seed"})
      if (written.texts.about == Subject::example && settings.contains(key))
        vectors.origin[key] = settings[key].dump();
  }
  save_written_vectors(flags.out, vectors, data);
  fmt::print("wrote {} (vectors of texts about {}s of {} by {})\n", flags.out, about, data.name,
             encoder.name);
  fmt::print("{:>12}  {}s, vectors of {} numbers\n", vectors.subjects.size(), about, vectors.width);
  const json& run = vectors.origin.at("run");
  fmt::print("{:>12}  of whose texts the encoder knows nothing are left out\n",
             run.at("unknown").get<std::int64_t>());
  fmt::print("{:>12}  have the best of several samples\n",
             run.at("chosen_among_samples").get<std::int64_t>());
  print_bill_of(encoder, result.summary);
}

void run_llm_embed(EmbedFlags& flags) {
  const EncoderInfo& encoder = find_encoder(flags.encoder);
  require(encoder.makes,
          fmt::format("the encoder {} {}; name one that makes them", encoder.name, encoder.summary));
  EncoderOptions& encoding = flags.encoding;
  require(flags.texts.empty() || encoding.text_template.empty(),
          "'--template' does not apply: the texts are those of --texts; leave one of them out");
  if (encoding.text_template.empty()) encoding.text_template = encoder.text_template;
  if (encoding.server.cache.empty()) encoding.server.cache = flags.out + ".cache";
  encoding.server.progress = true;

  const Dataset data = flags.data.load();
  if (!flags.forecast_only)
    check_noted_output(flags.out, inputs_of(data, {encoding.server.cache, flags.texts}), flags.force);
  std::optional<Written> written;
  if (!flags.texts.empty()) written = read_written(flags.texts, data);
  if (!written || written->texts.about == Subject::item) {
    if (written) encoding.text_template = written->note ? written->note->prompt : flags.texts;
    embed_items(flags, encoder, data, written);
  } else {
    embed_written(flags, encoder, data, *written);
  }
}

}  // namespace

void add_llm_embed(CLI::App& llm) {
  const auto flags = std::make_shared<EmbedFlags>();
  std::string names, templates;
  for (const EncoderInfo& encoder : encoders()) {
    if (!encoder.makes) continue;
    names += fmt::format("\n{}: {}", encoder.name, encoder.summary);
    templates += fmt::format("\n{}: {}", encoder.name, encoder.text_template);
  }
  CLI::App* embed =
      llm.add_subcommand("embed", "Make vectors of the items' texts, or of those that llm ask wrote");
  add_data_flags(*embed, flags->data)->required();
  embed->add_option("--encoder", flags->encoder, "Who makes them" + names)->required();
  embed->add_option("--out", flags->out, "File of vectors to write (safetensors)")->required();
  add_force_flag(*embed, flags->force);
  embed->add_option("--template", flags->encoding.text_template,
                    "Text of an item: parts between semicolons, with {title}, {brand}, {categories}, "
                    "{attributes} and {item}; a part without a value is left out. Default" +
                        templates);
  embed->add_option("--texts", flags->texts,
                    "Texts of `llm ask` to embed, about items, users or examples, instead of the template's");
  embed->add_option("--width", flags->encoding.width, "Numbers of a vector (encoder tfidf)")
      ->check(number_in(std::int64_t{1}, std::int64_t{4096}))
      ->capture_default_str();
  add_server_flags(*embed, flags->encoding.server, flags->key_variable);
  embed->add_option("--cache", flags->encoding.server.cache, "Answer cache (default: OUT.cache)")
      ->group("Run");
  embed->add_flag("--forecast", flags->forecast_only, "Say what it would cost, and ask nobody")->group("Run");
  add_budget_flags(*embed, flags->budget);
  embed->callback([flags, embed] {
    require_applicable(*embed, "--encoder", encoders(), find_encoder(flags->encoder));
    run_llm_embed(*flags);
  });
}

}  // namespace sllmr
