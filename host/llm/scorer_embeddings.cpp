// Sentence embeddings from any /v1/embeddings server: how near is the candidate's text to the history's?
//
// Every text is embedded once and cached by (model, text). A user's history is the mean of its items' unit
// vectors; a score is (1 + cosine) / 2. Without a history or a vector there is no judgement: 0.5.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "host/llm/answer_cache.h"
#include "host/llm/ask.h"
#include "host/train/interrupt.h"
#include "host/train/progress.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr const char* kTemplate = "embeddings";

using Vector = std::vector<float>;

/// Unit length; nothing for what is no direction: empty, not finite, all zero.
std::optional<Vector> unit(Vector vector) {
  double squares = 0;
  for (const float x : vector) squares += static_cast<double>(x) * static_cast<double>(x);
  if (!(squares > 0) || !std::isfinite(squares)) return std::nullopt;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (float& x : vector) x *= scale;
  return vector;
}

/// The vectors of a reply, by their index in the request. Nothing where it is not one of an embeddings server
/// or does not hold `count` vectors.
std::optional<std::vector<Vector>> read_reply(const std::string& body, std::size_t count,
                                              std::int64_t& tokens) {
  const json reply = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!reply.is_object()) return std::nullopt;
  std::vector<Vector> vectors(count);
  try {
    for (const json& entry : reply.at("data")) {
      vectors.at(entry.at("index").get<std::size_t>()) = entry.at("embedding").get<Vector>();
    }
    tokens = reply.value("usage", json::object()).value("prompt_tokens", std::int64_t{0});
  } catch (const std::exception&) {  // json's, and out_of_range for an index
    return std::nullopt;
  }
  if (std::any_of(vectors.begin(), vectors.end(), [](const Vector& v) { return v.empty(); }))
    return std::nullopt;
  return vectors;
}

class Embedder {
 public:
  Embedder(const ScorerOptions& options, ScoreSummary& summary)
      : options_(options), summary_(summary), cache_(options.cache) {}

  /// Unit vectors by item; empty for items that no set shows and for texts without a direction. False after
  /// Ctrl-C.
  bool embed(const Dataset& data, const std::vector<CandidateSet>& sets, std::vector<Vector>& by_item) {
    by_item.assign(static_cast<std::size_t>(data.items.rows()), {});
    std::vector<std::uint8_t> shown(by_item.size(), 0);
    for (const CandidateSet& set : sets) {
      for (const Id item : set.history) shown[item] = 1;
      for (const Id item : set.candidates) shown[item] = 1;
    }
    for (Id item = 1; item < data.items.rows(); ++item) {
      if (!shown[item]) continue;
      Text text{item, item_text(data, item), {}};
      text.key = answer_key({options_.chat.model, kTemplate, text.text});
      ++summary_.answers;
      if (const auto stored = cache_.find(text.key)) {
        const json vector = json::parse(stored->text, nullptr, /*allow_exceptions=*/false);
        if (auto direction = unit(vector.is_array() ? vector.get<Vector>() : Vector())) {
          by_item[item] = std::move(*direction);
        }
        ++summary_.cached;
        summary_.tokens_in += stored->tokens_in;
      } else {
        missing_.push_back(std::move(text));
      }
    }
    return ask(by_item);
  }

 private:
  struct Text {
    Id item;
    std::string text, key;
  };

  bool ask(std::vector<Vector>& by_item) {
    const std::string url = checked_server_url(options_.url) + "/embeddings";
    require(!options_.chat.model.empty(), "the server needs to know which model: give --model");
    require(options_.texts_per_request >= 1, "a request needs one text or more");
    const auto step = static_cast<std::size_t>(options_.texts_per_request);
    const auto chunk = [&](std::uint64_t id) {
      const std::size_t first = id * step;
      return std::span(missing_).subspan(first, std::min(step, missing_.size() - first));
    };
    std::optional<Progress> progress;
    if (options_.progress) progress.emplace("embedding", summary_.answers, "texts");
    std::size_t next = 0;
    std::int64_t done = summary_.cached;
    const auto source = [&]() -> std::optional<HttpRequest> {
      if (next * step >= missing_.size()) return std::nullopt;
      HttpRequest request;
      request.id = next++;
      request.url = url;
      json body = {{"model", options_.chat.model}, {"input", json::array()}};
      std::size_t bytes = 0;
      for (const Text& text : chunk(request.id)) {
        body["input"].push_back(text.text);
        bytes += text.text.size();
      }
      request.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
      request.tokens = static_cast<std::int64_t>(bytes / 4);
      return request;
    };
    const auto sink = [&](HttpReply reply) {
      const auto texts = chunk(reply.id);
      if (!reply.error.empty()) {
        check_fatal(reply, url);
        const std::string reason =
            fmt::format("{} after {} tries: {}", reply.error, reply.tries, server_message(reply.body));
        require(reply.status != 0 || done > 0, fmt::format("no answer from {}: {}", url, reason));
        summary_.failed += static_cast<std::int64_t>(texts.size());
        summary_.bad += static_cast<std::int64_t>(texts.size());
        if (summary_.examples.size() < 3) summary_.examples.push_back(reason);
        check_share(done += static_cast<std::int64_t>(texts.size()));
        return;
      }
      std::int64_t tokens = 0;
      auto vectors = read_reply(reply.body, texts.size(), tokens);
      require(vectors.has_value(), fmt::format("{} sent {} vectors that do not fit {} texts", url,
                                               excerpt(reply.body, 40), texts.size()));
      for (std::size_t k = 0; k < texts.size(); ++k) {
        CachedAnswer stored;
        stored.text = json((*vectors)[k]).dump();
        stored.model = options_.chat.model;
        stored.template_name = kTemplate;
        // A request's bill, spread over its texts so that the sum stays.
        const auto n = static_cast<std::int64_t>(texts.size()), at = static_cast<std::int64_t>(k);
        stored.tokens_in = tokens * (at + 1) / n - tokens * at / n;
        stored.seconds = reply.seconds / static_cast<double>(texts.size());
        cache_.put(texts[k].key, stored);
        if (auto direction = unit(std::move((*vectors)[k]))) by_item[texts[k].item] = std::move(*direction);
      }
      summary_.tokens_in += tokens;
      summary_.paid_tokens_in += tokens;
      done += static_cast<std::int64_t>(texts.size());
      if (progress) progress->update(done);
    };
    // The sizes of the requests differ only at the end, so any reply with vectors is read; the sink checks
    // the rest.
    const auto accept = [](std::uint64_t, const std::string& body, int) {
      const json reply = json::parse(body, nullptr, /*allow_exceptions=*/false);
      const bool read = reply.is_object() && reply.contains("data") && reply["data"].is_array();
      return Verdict{read ? "" : "an answer that is not of the protocol"};
    };
    HttpClient client(options_.http);
    const InterruptGuard guard;
    summary_.http = client.run(source, sink, accept, interrupted);
    return !interrupted();
  }

  void check_share(std::int64_t done) const {
    if (static_cast<double>(summary_.bad) <= options_.max_bad_share * static_cast<double>(done)) return;
    throw Error(fmt::format("{} of {} texts have no vector, more than the share {} that --max-bad allows: {}",
                            summary_.bad, done, options_.max_bad_share, fmt::join(summary_.examples, " | ")));
  }

  const ScorerOptions& options_;
  ScoreSummary& summary_;
  AnswerCache cache_;
  std::vector<Text> missing_;
};

}  // namespace

ScoreResult score_embeddings(const ScoreJob& job) {
  const auto start = std::chrono::steady_clock::now();
  ScoreResult result;
  std::vector<Vector> vectors;
  Embedder embedder(job.options, result.summary);
  result.interrupted = !embedder.embed(*job.split.data, job.sets, vectors);
  if (result.interrupted) return result;
  std::size_t width = 0;
  for (const Vector& vector : vectors) width = std::max(width, vector.size());

  std::vector<double> history;
  for (const CandidateSet& set : job.sets) {
    history.assign(width, 0.0);
    for (const Id item : set.history) {
      const Vector& vector = vectors[item];
      for (std::size_t k = 0; k < vector.size(); ++k) history[k] += static_cast<double>(vector[k]);
    }
    double squares = 0;
    for (const double x : history) squares += x * x;
    for (const Id item : set.candidates) {
      const Vector& vector = vectors[item];
      const bool judged = !vector.empty() && squares > 0;
      double dot = 0;
      for (std::size_t k = 0; k < vector.size(); ++k) dot += history[k] * static_cast<double>(vector[k]);
      const double score = judged ? 0.5 + 0.5 * dot / std::sqrt(squares) : 0.5;
      result.summary.defaulted += !judged;
      result.scores.push_back(
          {set.user, item, static_cast<float>(std::clamp(score, 0.0, 1.0)), item == set.probe});
    }
  }
  result.summary.pairs = static_cast<std::int64_t>(result.scores.size());
  fill_costs(result.summary, job.options.prices,
             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return result;
}

}  // namespace sllmr
