// Sentence embeddings from any /v1/embeddings server: how near is the candidate's text to the history's?
//
// Every text is embedded once and cached by (server, model, text). A user's history is the mean of its items'
// unit vectors; a score is (1 + cosine) / 2. Without a history or a vector there is no judgement: 0.5.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "host/ask/answer_cache.h"
#include "host/ask/ask.h"
#include "host/ask/cost.h"
#include "host/ask/server_address.h"
#include "host/base/json_text.h"
#include "host/base/progress.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr const char* kTemplate = "embeddings";
constexpr std::int64_t kFirstCheck = 20;  // requests before the share of bad ones means anything

using Vector = std::vector<float>;

double sum_of_squares(const Vector& vector) {
  double squares = 0;
  for (const float x : vector) squares += static_cast<double>(x) * static_cast<double>(x);
  return squares;
}

/// The direction, in unit length, of what read_vector() gave.
Vector unit(Vector vector) {
  const auto scale = static_cast<float>(1 / std::sqrt(sum_of_squares(vector)));
  for (float& x : vector) x *= scale;
  return vector;
}

/// The bytes of a little-endian float each, as base64; nothing for what is something else.
std::optional<Vector> decode_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('=')) text.remove_suffix(1);
  std::vector<std::uint8_t> bytes;
  std::uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    const auto digit = kDigits.find(c);
    if (digit == kDigits.npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes.push_back(static_cast<std::uint8_t>(bits >> n_bits));
  }
  if (bytes.empty() || bytes.size() % sizeof(float) != 0) return std::nullopt;
  Vector vector(bytes.size() / sizeof(float));
  std::memcpy(vector.data(), bytes.data(), bytes.size());
  return vector;
}

/// Finite numbers that have a direction; nothing for anything else: none, all zero, or so small that a float
/// does not hold the inverse of their length.
std::optional<Vector> read_vector(const json& embedding) {
  std::optional<Vector> vector;
  if (embedding.is_string()) {
    vector = decode_base64(embedding.get_ref<const std::string&>());
  } else if (embedding.is_array() && !embedding.empty()) {
    vector.emplace();
    for (const json& number : embedding) {
      if (!number.is_number()) return std::nullopt;
      const double value = number.get<double>();
      // A conversion of what no float holds is undefined.
      if (!(std::fabs(value) <= static_cast<double>(std::numeric_limits<float>::max()))) return std::nullopt;
      vector->push_back(static_cast<float>(value));
    }
  }
  if (!vector) return std::nullopt;
  const double length = std::sqrt(sum_of_squares(*vector));
  const bool directed =
      std::isfinite(length) && length >= static_cast<double>(std::numeric_limits<float>::min());
  return directed ? vector : std::nullopt;
}

/// The vectors of a reply in the order of the request: by index where all have one, by position where none
/// has. Nothing where it is not one of an embeddings server, or not one vector for each of `count` texts, all
/// of one size.
std::optional<std::vector<Vector>> read_reply(const json& reply, std::size_t count) {
  if (!reply.is_object() || !reply.contains("data") || !reply["data"].is_array()) return std::nullopt;
  const json& data = reply["data"];
  if (data.size() != count) return std::nullopt;
  const auto has_index = [](const json& entry) {
    return entry.is_object() && entry.contains("index") && !entry["index"].is_null();
  };
  const bool by_index = std::all_of(data.begin(), data.end(), has_index);
  if (!by_index && std::any_of(data.begin(), data.end(), has_index)) return std::nullopt;
  std::vector<Vector> vectors(count);
  for (std::size_t k = 0; k < count; ++k) {
    const json& entry = data[k];
    if (!entry.is_object() || !entry.contains("embedding")) return std::nullopt;
    if (by_index && !entry["index"].is_number_unsigned()) return std::nullopt;
    const std::size_t position = by_index ? entry["index"].get<std::size_t>() : k;
    auto vector = read_vector(entry["embedding"]);
    if (position >= count || !vectors[position].empty() || !vector) return std::nullopt;
    vectors[position] = std::move(*vector);
  }
  for (const Vector& vector : vectors) {
    if (vector.size() != vectors[0].size()) return std::nullopt;
  }
  return vectors;
}

void add(HttpStats& sum, const HttpStats& more) {
  for (const auto count :
       {&HttpStats::succeeded, &HttpStats::failed, &HttpStats::rate_limited, &HttpStats::server_errors,
        &HttpStats::timeouts, &HttpStats::broken, &HttpStats::rejected})
    sum.*count += more.*count;
}

class Embedder {
 public:
  Embedder(const ScorerOptions& options, ScoreSummary& summary)
      : options_(options), summary_(summary), cache_(options.cache) {}

  /// Unit vectors by item; empty for items that no set shows and for texts that got none. False after Ctrl-C.
  bool embed(const Dataset& data, const std::vector<CandidateSet>& sets, std::vector<Vector>& by_item) {
    by_item.assign(static_cast<std::size_t>(data.items.rows()), {});
    std::vector<std::uint8_t> shown(by_item.size(), 0);
    for (const CandidateSet& set : sets) {
      for (const Id item : set.history) shown[item] = 1;
      for (const Id item : set.candidates) shown[item] = 1;
    }
    summary_.answers = std::count(shown.begin() + 1, shown.end(), 1);
    std::vector<std::uint8_t> cached(by_item.size(), 0);
    for (Id item = 1; item < data.items.rows(); ++item) {
      if (!shown[item]) continue;
      Text text = text_of(data, item);
      const auto stored = cache_.find(text.key);
      auto vector = stored ? read_vector(parse_json(stored->text).value_or(json())) : std::nullopt;
      if (vector) {
        cached[item] = 1;
        count(*vector, 1);
        by_item[item] = unit(std::move(*vector));
        ++summary_.cached;
        summary_.tokens_in += stored->tokens_in;
      } else {
        text.damaged = stored.has_value();
        missing_.push_back(std::move(text));
      }
    }
    if (!ask(by_item)) return false;
    // Those of another size are asked for once more.
    const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto most = std::max_element(counts_.rbegin(), counts_.rend(), by_count);  // of equals the widest
    if (width_ == 0 && most != counts_.rend()) width_ = most->first;
    missing_.clear();
    for (Id item = 1; item < data.items.rows(); ++item) {
      if (by_item[item].empty() || by_item[item].size() == width_) continue;
      by_item[item].clear();
      Text text = text_of(data, item);
      text.damaged = true;
      const auto stored = cached[item] ? cache_.find(text.key) : std::nullopt;
      if (stored) {
        --summary_.cached;
        summary_.tokens_in -= stored->tokens_in;
      }
      missing_.push_back(std::move(text));
    }
    return missing_.empty() || ask(by_item);
  }

 private:
  struct Text {
    Id item;
    std::string text, key;
    bool damaged = false;  // what the cache holds
  };

  Text text_of(const Dataset& data, Id item) const {
    Text text{item, item_text(data, item), {}};
    text.key = answer_key({server_name(options_), answer_key({options_.chat.model, kTemplate, text.text})});
    return text;
  }

  /// Vectors of different sizes are of different models, and most are of the right one: a size that more than
  /// half of all texts have is settled.
  void count(const Vector& vector, std::int64_t texts) {
    const std::int64_t so_far = counts_[vector.size()] += texts;
    if (2 * so_far > summary_.answers) width_ = vector.size();
  }

  /// Asks for the missing texts. False after Ctrl-C.
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
    std::int64_t done = summary_.answers - static_cast<std::int64_t>(missing_.size()), replies = 0;
    std::unordered_map<std::uint64_t, std::vector<Vector>> taken;  // between a reply's verdict and its use
    std::int64_t tokens = 0;                                       // of that reply
    FirstReplies first_replies(url, static_cast<std::int64_t>((missing_.size() + step - 1) / step));
    const auto source = [&]() -> std::optional<HttpRequest> {
      if (next * step >= missing_.size()) return std::nullopt;
      HttpRequest request;
      request.id = next++;
      request.url = url;
      json body = {{"model", options_.chat.model}, {"input", json::array()}};
      std::int64_t bytes = 0;
      for (const Text& text : chunk(request.id)) {
        body["input"].push_back(text.text);
        bytes += static_cast<std::int64_t>(text.text.size());
      }
      request.body = json_text(body);
      request.tokens = static_cast<std::int64_t>(expected_tokens(bytes));
      return request;
    };
    const auto accept = [&](std::uint64_t id, const std::string& body, int) {
      const json reply = parse_json(body, kMostReplyValues).value_or(json());
      summary_.tokens_in += token_count(reply, "prompt_tokens");
      summary_.paid_tokens_in += token_count(reply, "prompt_tokens");
      auto vectors = read_reply(reply, chunk(id).size());
      if (!vectors)
        return Verdict{
            fmt::format("an answer that is not one vector for each of {} texts", chunk(id).size())};
      if (width_ != 0 && vectors->front().size() != width_) {
        return Verdict{fmt::format("vectors of {} numbers where others have {}; name another --cache",
                                   vectors->front().size(), width_)};
      }
      tokens = token_count(reply, "prompt_tokens");
      taken[id] = std::move(*vectors);
      return Verdict();
    };
    const auto sink = [&](HttpReply reply) {
      const auto texts = chunk(reply.id);
      const auto n = static_cast<std::int64_t>(texts.size());
      done += n;
      ++replies;
      if (!reply.error.empty()) {
        first_replies.failed(reply);
        const std::string detail =
            reply.status >= 200 && reply.status < 300 ? "" : server_message(reply.body);
        summary_.failed += n;
        summary_.bad += n;
        if (summary_.examples.size() < 3) {
          summary_.examples.push_back(fmt::format("{} after {} tries{}{}", reply.error, reply.tries,
                                                  detail.empty() ? "" : ": ", detail));
        }
        if (replies >= kFirstCheck) check_share(done);
        return;
      }
      first_replies.worked();
      auto vectors = std::move(taken.extract(reply.id).mapped());
      count(vectors.front(), n);
      for (std::size_t k = 0; k < texts.size(); ++k) {
        CachedAnswer stored;
        stored.text = json(vectors[k]).dump();
        stored.model = options_.chat.model;
        stored.template_name = kTemplate;
        stored.server = server_name(options_);
        // A request's bill, spread over its texts so that the sum stays.
        const auto at = static_cast<std::int64_t>(k);
        stored.tokens_in = tokens * (at + 1) / n - tokens * at / n;
        stored.seconds = reply.seconds / static_cast<double>(texts.size());
        if (texts[k].damaged) cache_.replace(texts[k].key, stored);
        if (!texts[k].damaged) cache_.put(texts[k].key, stored);
        by_item[texts[k].item] = unit(std::move(vectors[k]));
      }
      if (progress) progress->update(done);
    };
    HttpClient client(options_.http);
    const InterruptGuard guard;
    add(summary_.http, client.run(source, sink, accept, interrupted));
    if (interrupted()) return false;
    check_share(summary_.answers);
    return true;
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
  std::map<std::size_t, std::int64_t> counts_;  // size of a vector to the texts that have one
  std::size_t width_ = 0;                       // 0: not settled
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
