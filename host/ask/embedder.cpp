#include "host/ask/embedder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "host/ask/ask.h"
#include "host/ask/server_address.h"
#include "host/base/json_text.h"
#include "host/base/progress.h"
#include "kernels/exec/error.h"
#include "kernels/exec/interrupt.h"

namespace sllmr {
namespace {

using nlohmann::json;
using Vector = Embedder::Vector;

constexpr const char* kTemplate = "embeddings";
constexpr std::int64_t kLeastRequests = 20;  // requests before the share of bad ones means anything

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

/// What the cache keeps; nothing where it is something else.
std::optional<Vector> stored_vector(const CachedAnswer& stored) {
  return read_vector(parse_json(stored.text).value_or(json()));
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

}  // namespace

Embedder::Embedder(const ScorerOptions& options, ScoreSummary& summary)
    : options_(options), summary_(summary), cache_(options.cache) {}

void Embedder::take(std::span<const std::string> texts) {
  texts_.clear();
  std::unordered_map<std::string_view, std::size_t> known;
  place_.clear();
  for (const std::string& text : texts) {
    const auto [found, is_new] = known.try_emplace(text, texts_.size());
    if (is_new) {
      texts_.push_back(
          {text, answer_key({server_name(options_), answer_key({options_.chat.model, kTemplate, text})})});
    }
    place_.push_back(found->second);
  }
}

Forecast Embedder::forecast(std::span<const std::string> texts) {
  take(texts);
  Forecaster sums;
  for (const Text& text : texts_) {
    const auto bytes = static_cast<std::int64_t>(text.text.size());
    if (const auto stored = cache_.find(text.key); stored && stored_vector(*stored)) {
      sums.add_cached(bytes, *stored);
    } else {
      sums.add_missing({expected_tokens(bytes), 0});
    }
  }
  return sums.finish(options_, options_.texts_per_request);
}

bool Embedder::embed(std::span<const std::string> texts, std::vector<Vector>& vectors) {
  take(texts);
  summary_.answers = static_cast<std::int64_t>(texts_.size());
  vectors_.assign(texts_.size(), {});
  counts_.clear();
  width_ = 0;
  std::vector<std::uint8_t> cached(texts_.size(), 0);
  missing_.clear();
  for (std::size_t k = 0; k < texts_.size(); ++k) {
    const auto stored = cache_.find(texts_[k].key);
    auto vector = stored ? stored_vector(*stored) : std::nullopt;
    if (vector) {
      cached[k] = 1;
      count(*vector, 1);
      vectors_[k] = unit(std::move(*vector));
      ++summary_.cached;
      summary_.tokens_in += stored->tokens_in;
      summary_.answer_seconds += stored->seconds;
    } else {
      texts_[k].damaged = stored.has_value();
      missing_.push_back(k);
    }
  }
  if (!ask()) return false;
  // Those of another size are asked for once more.
  const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto most = std::max_element(counts_.rbegin(), counts_.rend(), by_count);  // of equals the widest
  if (width_ == 0 && most != counts_.rend()) width_ = most->first;
  missing_.clear();
  for (std::size_t k = 0; k < texts_.size(); ++k) {
    if (vectors_[k].empty() || vectors_[k].size() == width_) continue;
    vectors_[k].clear();
    texts_[k].damaged = true;
    const auto stored = cached[k] ? cache_.find(texts_[k].key) : std::nullopt;
    if (stored) {
      --summary_.cached;
      summary_.tokens_in -= stored->tokens_in;
      summary_.answer_seconds -= stored->seconds;
    }
    missing_.push_back(k);
  }
  if (!missing_.empty() && !ask()) return false;
  vectors.clear();
  for (const std::size_t place : place_) vectors.push_back(vectors_[place]);
  return true;
}

void Embedder::count(const Vector& vector, std::int64_t texts) {
  const std::int64_t so_far = counts_[vector.size()] += texts;
  if (2 * so_far > summary_.answers) width_ = vector.size();
}

bool Embedder::ask() {
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
    for (const std::size_t k : chunk(request.id)) {
      body["input"].push_back(texts_[k].text);
      bytes += static_cast<std::int64_t>(texts_[k].text.size());
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
      return Verdict{fmt::format("an answer that is not one vector for each of {} texts", chunk(id).size())};
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
    summary_.answer_seconds += reply.seconds;
    if (!reply.error.empty()) {
      first_replies.failed(reply);
      const std::string detail = reply.status >= 200 && reply.status < 300 ? "" : server_message(reply.body);
      summary_.failed += n;
      summary_.bad += n;
      if (summary_.examples.size() < 3) {
        summary_.examples.push_back(fmt::format("{} after {} tries{}{}", reply.error, reply.tries,
                                                detail.empty() ? "" : ": ", detail));
      }
      if (replies >= kLeastRequests) check_share(done);
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
      const Text& text = texts_[texts[k]];
      if (text.damaged) cache_.replace(text.key, stored);
      if (!text.damaged) cache_.put(text.key, stored);
      vectors_[texts[k]] = unit(std::move(vectors[k]));
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

void Embedder::check_share(std::int64_t done) const {
  if (static_cast<double>(summary_.bad) <= options_.max_bad_share * static_cast<double>(done)) return;
  const std::string limit =
      options_.max_bad_share > 0
          ? fmt::format(", more than the share {} that --max-bad allows", options_.max_bad_share)
          : std::string();
  throw Error(fmt::format("{} of {} texts have no vector{}: {}; the others are in the cache '{}'",
                          summary_.bad, done, limit, fmt::join(summary_.examples, " | "), options_.cache));
}

}  // namespace sllmr
