// OpenAI's batch files: the requests of all prompts that have no answer yet as JSON lines, and the results
// back.
//
// The folder holds requests-1.jsonl, requests-2.jsonl, ... as written here, results under any other name
// ending in .jsonl as downloaded, in any order and number, and failures.jsonl: custom_id, user and reason of
// each prompt that came back without an answer. A custom_id is the prompt's key in the answer cache, so
// results can be read again, by any later call, and the same prompt is never paid twice.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

#include "host/atomic_file.h"
#include "host/data/line_reader.h"
#include "host/llm/answer_cache.h"
#include "host/llm/ask.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// What OpenAI takes at most in one file.
constexpr std::int64_t kMostRequests = 50000;
constexpr std::int64_t kMostBytes = 190'000'000;
constexpr const char* kFailures = "failures.jsonl";

std::vector<std::string> result_files(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".jsonl") && !name.starts_with("requests-") && name != kFailures)
      files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Why a result line holds no answer; empty where it does, and then `answer` is set.
std::string read_result(const json& line, ChatAnswer& answer) {
  const auto error = line.find("error");
  if (error != line.end() && !error->is_null()) return server_message(json{{"error", *error}}.dump());
  const auto response = line.find("response");
  if (response == line.end() || !response->is_object()) return "no response";
  const json body = response->value("body", json());
  const json status = response->value("status_code", json(200));
  if (status != 200) return fmt::format("status {}: {}", status.dump(), server_message(body.dump()));
  const auto read = read_chat_body(body.dump());
  if (!read) return "the body is not one of a chat completion";
  answer = *read;
  return {};
}

/// Writes the requests in files of the size that OpenAI takes.
class RequestFiles {
 public:
  explicit RequestFiles(std::string folder) : folder_(std::move(folder)) {}
  void add(const std::string& line) {
    if (file_ && (requests_ >= kMostRequests || bytes_ + static_cast<std::int64_t>(line.size()) > kMostBytes))
      finish();
    if (!file_) {
      file_ = std::make_unique<AtomicFile>(fmt::format("{}/requests-{}.jsonl", folder_, ++files_));
      requests_ = bytes_ = 0;
    }
    file_->stream() << line << '\n';
    ++requests_;
    bytes_ += static_cast<std::int64_t>(line.size()) + 1;
  }
  int finish() {
    if (file_) file_->commit();
    file_.reset();
    return files_;
  }

 private:
  std::string folder_;
  std::unique_ptr<AtomicFile> file_;
  int files_ = 0;
  std::int64_t requests_ = 0, bytes_ = 0;
};

/// Puts all results into the cache. Returns custom_id to reason for those that hold no answer.
std::unordered_map<std::string, std::string> take_results(const ScoreJob& job, const Questions& questions,
                                                          AnswerCache& cache, ScoreSummary& summary) {
  std::set<std::string> asked;
  for (std::int64_t k = 0; k < questions.count(); ++k) asked.insert(questions.at(k).key);
  std::unordered_map<std::string, std::string> failures;
  for (const std::string& path : result_files(job.options.batch)) {
    LineReader lines(path);
    for (std::string_view text; lines.next(text);) {
      const json line = json::parse(text, nullptr, /*allow_exceptions=*/false);
      if (!line.is_object() || !line.contains("custom_id") || !line["custom_id"].is_string()) {
        lines.fail("not a batch result, or a truncated one; download the file again");
      }
      const auto id = line["custom_id"].get<std::string>();
      if (!asked.contains(id)) continue;  // of another template, model or plan
      ChatAnswer answer;
      if (std::string reason = read_result(line, answer); !reason.empty()) {
        failures.emplace(id, std::move(reason));
        continue;
      }
      CachedAnswer stored;
      stored.text = to_cache_text(answer);
      stored.model = job.options.chat.model;
      stored.template_name = questions.prompt().name;
      stored.tokens_in = answer.tokens_in;
      stored.tokens_out = answer.tokens_out;
      if (!cache.put(id, stored)) continue;  // read before, or a duplicate
      summary.paid_tokens_in += answer.tokens_in;
      summary.paid_tokens_out += answer.tokens_out;
    }
  }
  return failures;
}

}  // namespace

ScoreResult score_batch(const ScoreJob& job) {
  const ScorerOptions& options = job.options;
  require(!options.batch.empty(), "the scorer batch needs a folder for its files: give --batch");
  require(!options.chat.model.empty(), "the requests need to name a model: give --model");
  fs::create_directories(options.batch);
  const Questions questions(job);
  Tally tally(questions);
  AnswerCache cache(options.cache);
  ScoreResult result;
  ScoreSummary& summary = tally.summary;
  const bool results_came = !result_files(options.batch).empty();
  const auto failures = take_results(job, questions, cache, summary);

  for (const auto& entry : fs::directory_iterator(options.batch)) {
    // Of the last call: what is still open is written again.
    if (entry.path().filename().string().starts_with("requests-")) fs::remove(entry.path());
  }
  RequestFiles requests(options.batch);
  AtomicFile failed(options.batch + "/" + kFailures);
  std::int64_t open = 0;
  for (std::int64_t k = 0; k < questions.count(); ++k) {
    const Question question = questions.at(k);
    const auto stored = cache.find(question.key);
    const auto answer = stored ? from_cache_text(stored->text) : std::nullopt;
    if (answer) {
      ++summary.cached;
      summary.tokens_in += stored->tokens_in;
      summary.tokens_out += stored->tokens_out;
      tally.answer(question, k, *answer);
      continue;
    }
    ++open;
    requests.add(fmt::format(R"({{"custom_id":"{}","method":"POST","url":"/v1/chat/completions","body":{}}})",
                             question.key, question.body));
    const auto found = failures.find(question.key);
    const std::string reason = found == failures.end() ? "no result" : found->second;
    if (results_came) {
      const auto user = job.split.data->users.token(job.sets[question.set].user);
      const json line = {{"custom_id", question.key}, {"user_id", user}, {"reason", reason}};
      failed.stream() << line.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
    }
    tally.failure(question, reason);
  }
  const int files = requests.finish();
  failed.commit();
  if (open > 0 && !results_came) {
    result.pending = fmt::format(
        "wrote {} requests to {}/requests-*.jsonl ({} file{}). Submit them, put the results beside them, "
        "under any "
        "other name ending in .jsonl, and run the same command again",
        open, options.batch, files, files == 1 ? "" : "s");
    result.summary = std::move(summary);
    return result;
  }
  tally.check_bad_share(true);
  fill_costs(summary, options.prices, 0);
  result.scores = tally.finish();
  result.summary = std::move(tally.summary);
  return result;
}

}  // namespace sllmr
