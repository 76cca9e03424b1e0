// Putting questions to a server, through the cache.
#pragma once

#include "host/llm/questions.h"

namespace sllmr {

class AnswerCache;

/// Answers every question, from the cache or by the server at options.url, and hands the answers to the
/// tally; an answer is in the cache before the tally sees it. Returns false when Ctrl-C ended it. Throws
/// Error when the server refuses the key, the model or the address (401, 403, 404), when it cannot be reached
/// at all, and when too many answers are bad. What was answered stays in the cache.
bool ask_all(const Questions& questions, AnswerCache& cache, Tally& tally);

/// The message of an OpenAI-style error body, or its beginning; empty for an empty body.
std::string server_message(const std::string& body);
/// Throws Error where a reply means that no further request can succeed.
void check_fatal(const HttpReply& reply, const std::string& url);

/// Fills money and seconds of the summary from its tokens.
void fill_costs(ScoreSummary& summary, const TokenPrices& prices, double seconds);

}  // namespace sllmr
