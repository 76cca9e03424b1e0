// `sllmr llm embed`: vectors of the items' texts.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "experiments/commands/flags.h"
#include "experiments/commands/llm_command.h"
#include "host/text/encoder.h"
#include "host/text/text_vectors.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

struct EmbedFlags {
  DataFlags data;
  EncoderOptions encoding;
  std::string encoder, out, key_variable;
  double budget_tokens = 0, budget_money = 0;  // 0: no limit
  bool force = false, forecast_only = false;
};

/// A budget that does not do for every item buys nothing, so nothing is asked then.
void require_budget(const EmbedFlags& flags, const Forecast& forecast) {
  const auto check = [](double needed, double most, const char* flag) {
    require(most == 0 || needed <= most,
            fmt::format(
                "the texts that are not in the cache need {:.4g}, by estimate, more than {} {:.4g}; every "
                "item needs a vector: raise it",
                needed, flag, most));
  };
  check(forecast.tokens_in, flags.budget_tokens, "--budget-tokens");
  check(forecast.money, flags.budget_money, "--budget-money");
}

void run_llm_embed(EmbedFlags& flags) {
  const EncoderInfo& encoder = find_encoder(flags.encoder);
  require(encoder.makes,
          fmt::format("the encoder {} {}; name one that makes them", encoder.name, encoder.summary));
  EncoderOptions& encoding = flags.encoding;
  ScorerOptions& server = encoding.server;
  if (encoding.text_template.empty()) encoding.text_template = encoder.text_template;
  if (server.cache.empty()) server.cache = flags.out + ".cache";
  server.progress = true;

  const Dataset data = flags.data.load();
  if (!flags.forecast_only) check_noted_output(flags.out, inputs_of(data, {server.cache}), flags.force);
  if (encoder.forecast != nullptr) {
    take_key(server, flags.key_variable);
    const Forecast forecast = encoder.forecast(data, encoding);
    print_forecast(forecast, "different texts of items", server.cache);
    if (flags.forecast_only) return;
    require_budget(flags, forecast);
  }
  const EncodeResult result = encoder.encode(data, encoding);
  const ScoreSummary& summary = result.summary;
  if (result.interrupted) {
    fmt::print("stopped; what was answered is in {}, and the same command goes on\n", server.cache);
    throw Interrupted();
  }
  save_text_vectors(flags.out, result.vectors, data);
  const nlohmann::json& origin = result.vectors.origin;
  fmt::print("wrote {} (vectors of {} by {}{})\n", flags.out, data.name, encoder.name,
             server.chat.model.empty() ? "" : ":" + server.chat.model);
  fmt::print("{:>12}  items, vectors of {} numbers\n", data.items.count(), result.vectors.width);
  fmt::print("{:>12}  of them know nothing of the item and are the mean of the others\n",
             origin.at("run").at("placeholders").get<std::int64_t>());
  if (encoder.forecast == nullptr) return;
  fmt::print("{:>12}  different texts: {} from the cache\n", summary.answers, summary.cached);
  fmt::print("{:>12}  tokens in; of this run {}\n", summary.tokens_in, summary.paid_tokens_in);
  fmt::print("{:>12.4f}  money; of this run {:.4f}, in {:.1f} s\n", summary.money, summary.paid_money,
             summary.seconds);
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
  CLI::App* embed = llm.add_subcommand("embed", "Make vectors of the items' texts");
  add_data_flags(*embed, flags->data)->required();
  embed->add_option("--encoder", flags->encoder, "Who makes them" + names)->required();
  embed->add_option("--out", flags->out, "File of vectors to write (safetensors)")->required();
  add_force_flag(*embed, flags->force);
  embed->add_option("--template", flags->encoding.text_template,
                    "Text of an item: parts between semicolons, with {title}, {brand}, {categories}, "
                    "{attributes} and {item}; a part without a value is left out. Default" +
                        templates);
  embed->add_option("--width", flags->encoding.width, "Numbers of a vector (encoder tfidf)")
      ->check(number_in(std::int64_t{1}, std::int64_t{4096}))
      ->capture_default_str();
  add_server_flags(*embed, flags->encoding.server, flags->key_variable);
  embed->add_option("--cache", flags->encoding.server.cache, "Answer cache (default: OUT.cache)")
      ->group("Run");
  embed->add_flag("--forecast", flags->forecast_only, "Say what it would cost, and ask nobody")->group("Run");
  const auto budget = [&](const char* name, double& value, const char* doc) {
    embed->add_option(name, value, doc)
        ->check(number_in(0.0, kMostPaid))
        ->capture_default_str()
        ->group("Budget");
  };
  budget("--budget-tokens", flags->budget_tokens, "Most tokens, by estimate; 0: no limit");
  budget("--budget-money", flags->budget_money, "Most money at this price; 0: no limit");
  embed->callback([flags, embed] {
    require_applicable(*embed, "--encoder", encoders(), find_encoder(flags->encoder));
    run_llm_embed(*flags);
  });
}

}  // namespace sllmr
