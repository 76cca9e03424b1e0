// OpenAI's batch files: the requests of all prompts that have no answer yet as JSON lines, and the results
// back.
//
// The folder holds requests-1.jsonl, requests-2.jsonl, ... and failures.jsonl (custom_id, user and reason of
// each prompt that came back without an answer) as written here, and results as downloaded, in any order and
// number, under any other name. Only files that have the program's names and hold nothing but what it writes
// are replaced or removed: results that were saved over a request file, or behind its lines, are read like
// others.
//
// A custom_id is the prompt's hash (Question::id), so results can be read again, by any later call, and the
// same prompt is never paid twice.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "host/ask/answer_cache.h"
#include "host/ask/ask.h"
#include "host/ask/batch_folder.h"
#include "host/ask/cost.h"
#include "host/ask/score_questions.h"
#include "host/base/atomic_file.h"
#include "host/base/json_text.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

using nlohmann::json;

/// Of a status_code: 2xx, as a number or its digits.
bool is_success(const json& status) {
  const std::string code = status.is_string() ? status.get<std::string>() : json_text(status);
  return code.size() == 3 && code[0] == '2' && code.find_first_not_of("0123456789") == code.npos;
}

/// Why a result line holds no answer; empty where it does, and then `answer` is set.
std::string read_result(const json& line, ChatAnswer& answer) {
  const auto error = line.find("error");
  if (error != line.end() && is_error(*error)) return error_message(*error);
  const auto response = line.find("response");
  if (response == line.end() || !response->is_object()) return "no response";
  static const json none;
  const auto body = response->find("body"), status = response->find("status_code");
  const json& said = body == response->end() ? none : *body;
  if (status != response->end() && !is_success(*status)) {
    return fmt::format("status {}: {}", json_text(*status),
                       error_message(said.is_object() && said.contains("error") ? said["error"] : said));
  }
  ChatReply reply = read_chat_reply(said);
  answer = std::move(reply.answer);
  return reply.fault;
}

/// The custom_id of a line that is no JSON, or JSON that is nested too deep; empty where it has none.
std::string id_in_damaged(std::string_view line) {
  constexpr std::string_view kName = "\"custom_id\"";
  const auto name = line.find(kName);
  if (name == line.npos) return {};
  const auto begin = line.find('"', name + kName.size());
  const auto end = begin == line.npos ? begin : line.find('"', begin + 1);
  return end == line.npos ? std::string() : std::string(line.substr(begin + 1, end - begin - 1));
}

/// What came back.
struct Results {
  bool any = false;
  std::unordered_map<std::string, std::string> failures;  // id to reason, of those that hold no answer
};

/// Puts all results into the cache. Warns of lines that belong to no prompt.
Results take_results(const Questions& questions, const batch::Folder& folder, AnswerCache& cache,
                     ScoreSummary& summary) {
  std::unordered_map<std::string, std::int64_t> asked;
  for (std::int64_t k = 0; k < questions.count(); ++k) asked.emplace(questions.at(k).id, k);
  Results results;
  auto& failures = results.failures;
  for (const std::string& path : folder.results) {
    batch::Lines lines(path);
    std::int64_t with_id = 0, without_id = 0, first_without = 0;
    for (std::string_view text; lines.next(text);) {
      const auto line = parse_json(text, kMostReplyValues);
      const bool named =
          line && line->is_object() && line->contains("custom_id") && (*line)["custom_id"].is_string();
      const std::string id = named  ? (*line)["custom_id"].get<std::string>()
                             : line ? ""
                                    : id_in_damaged(text);
      if (id.empty()) {
        if (without_id++ == 0) first_without = lines.number();
        continue;
      }
      ++with_id;
      if (batch::kind_of(line) != batch::LineKind::result) continue;
      results.any = true;
      const auto number = asked.find(id);
      if (number == asked.end()) continue;  // of another template, model or plan
      if (!line) {
        failures.emplace(id, "a result that is cut off, no JSON, nested too deep, or larger than any answer");
        continue;
      }
      const Question question = questions.at(number->second);
      if (stored_answer(questions, question, cache)) continue;  // read before, or a duplicate
      ChatAnswer answer;
      std::string reason = read_result(*line, answer);
      summary.paid_tokens_in += answer.tokens_in;
      summary.paid_tokens_out += answer.tokens_out;
      if (reason.empty()) {
        const ReadAnswer read = questions.read(question, answer);
        if (!read.usable()) reason = why_unusable(questions.prompt().answer, answer, read);
      }
      if (reason.empty()) {
        store_answer(questions, question, answer, 0, cache);
      } else {
        failures.insert_or_assign(id, std::move(reason));
      }
    }
    if (without_id > 0 && with_id == 0) {
      fmt::print(stderr, "warning: {}: no line has a custom_id: no batch results; the file is left alone\n",
                 path);
    } else if (without_id > 0) {
      fmt::print(
          stderr,
          "warning: {}: lines without a custom_id: {}, the first is line {}; they are skipped. Download "
          "the file again if it is damaged\n",
          path, without_id, first_without);
    }
  }
  return results;
}

}  // namespace

ScoreResult score_batch(const ScoreJob& job) {
  const ScorerOptions& options = job.options;
  require(!options.batch.empty(), "the scorer batch needs a folder for its files: give --batch");
  require(!options.chat.model.empty(), "the requests need to name a model: give --model");
  std::filesystem::create_directories(options.batch);
  const ScoreQuestions questions(job);
  ScoreTally tally(questions);
  AnswerCache cache(options.cache);
  ScoreResult result;
  ScoreSummary& summary = tally.summary;
  batch::Folder folder(options.batch);
  const Results results = take_results(questions, folder, cache, summary);

  batch::RequestFiles requests(folder);
  std::int64_t failure_files = 0;
  AtomicFile failed(folder.next(batch::kFailures, failure_files));
  std::int64_t open = 0;
  for (std::int64_t k = 0; k < questions.count(); ++k) {
    const Question question = questions.at(k);
    if (const auto stored = stored_answer(questions, question, cache)) {
      ++summary.cached;
      summary.tokens_in += stored->cost.tokens_in;
      summary.tokens_out += stored->cost.tokens_out;
      summary.answer_seconds += stored->cost.seconds;
      tally.answer(question, k, stored->answer, stored->read);
      continue;
    }
    ++open;
    requests.add(question.id, question.body);
    const auto found = results.failures.find(question.id);
    const std::string reason = found == results.failures.end() ? "no result" : found->second;
    if (results.any) {
      const auto user = job.split.data->users.token(job.sets[question.set].user);
      failed.stream() << json_text({{"custom_id", question.id}, {"user_id", user}, {"reason", reason}})
                      << '\n';
    }
    tally.failure(question, reason);
  }
  const int files = requests.finish();
  failed.commit();
  folder.remove_rest();
  if (open > 0 && !results.any) {
    result.pending = fmt::format(
        "wrote {} requests to {}/requests-*.jsonl ({} file{}). Submit them, put the results beside them, "
        "under any "
        "other name, and run the same command again",
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
