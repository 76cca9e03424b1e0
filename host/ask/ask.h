// Putting questions to a server, through the cache.
#pragma once

#include <optional>

#include "host/ask/answer_cache.h"
#include "host/ask/questions.h"

namespace sllmr {

/// An answer that need not be asked for.
struct StoredAnswer {
  CachedAnswer cost;
  ChatAnswer answer;
  ReadAnswer read;
};
/// Nothing where the cache has none, or one that is not usable: such were kept by older versions.
std::optional<StoredAnswer> stored_answer(const Questions& questions, const Question& question,
                                          AnswerCache& cache);
/// Puts an answer into the cache; it replaces one that is not usable.
void store_answer(const Questions& questions, const Question& question, const ChatAnswer& answer,
                  double seconds, AnswerCache& cache);

/// Answers every question, from the cache or by the server at options.url, and hands the answers to the
/// tally; an answer is in the cache before the tally sees it. An answer that is not usable is asked for again
/// and never cached. Returns false when Ctrl-C ended it. Throws Error when the server refuses the key, when
/// it refuses model or address (403, 404) or cannot be reached from the beginning, and when too many answers
/// are bad. What was answered stays in the cache.
bool ask_all(const Questions& questions, AnswerCache& cache, Tally& tally);

/// The message of an OpenAI-style error body, or its beginning; empty for an empty body.
std::string server_message(const std::string& body);

/// Tells a server that cannot help from one that failed a request.
class FirstReplies {
 public:
  FirstReplies(std::string url, std::int64_t requests);
  /// The server has answered a request.
  void worked() { worked_ = true; }
  /// Throws Error where no further request can succeed: the key is refused, or the server was not reached, or
  /// refuses model or address, from the first requests on.
  void failed(const HttpReply& reply);

 private:
  std::string url_;
  std::int64_t left_;  // failures until it is hopeless
  bool worked_ = false;
};

}  // namespace sllmr
