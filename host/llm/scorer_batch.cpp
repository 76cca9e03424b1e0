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

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>

#include "host/atomic_file.h"
#include "host/data/input_file.h"
#include "host/json_text.h"
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
constexpr const char* kFailures = "failures";

constexpr std::string_view kBlank = " \t\r";
constexpr std::size_t kChunk = std::size_t{1} << 16;

/// The lines of a file, plain or gzip, that are not blank. Others than LineReader's: a line that somebody
/// damaged costs no more than itself.
class Lines {
 public:
  explicit Lines(const std::string& path) : path_(path), file_(path), buffer_(kChunk) {}

  /// Moves to the next one, valid until the next call; false at the end of the file. Throws Error for what
  /// cannot be read.
  bool next(std::string_view& line) {
    do {
      if (!next_raw(line)) return false;
    } while (line.find_first_not_of(kBlank) == line.npos);
    return true;
  }
  std::int64_t number() const { return number_; }

 private:
  bool next_raw(std::string_view& line) {
    text_.clear();
    for (bool any = false;; any = true) {
      if (begin_ == end_) {
        begin_ = 0;
        end_ = file_.read(buffer_.data(), buffer_.size());
        require(file_.fault().empty(), fmt::format("{}: {}", path_, file_.fault()));
        if (end_ == 0) {
          number_ += any;
          line = text_;
          return any;
        }
      }
      const std::string_view rest(buffer_.data() + begin_, end_ - begin_);
      const std::size_t size = std::min(rest.find('\n'), rest.size());
      text_ += rest.substr(0, size);
      begin_ += std::min(size + 1, rest.size());
      if (size == rest.size()) continue;
      ++number_;
      line = text_;
      return true;
    }
  }

  std::string path_;
  InputFile file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what of buffer_ was not returned yet
  std::string text_;
  std::int64_t number_ = 0;
};

constexpr const char* kMethod = "POST";
constexpr const char* kUrl = "/v1/chat/completions";

enum class Kind { result, request, failure };

/// What a line is: a result, unless it is clearly something else.
Kind kind_of(const std::optional<json>& line) {
  if (!line || !line->is_object() || line->contains("response") || line->contains("error"))
    return Kind::result;
  if (line->contains("method") && line->contains("body")) return Kind::request;
  return line->contains("custom_id") && line->contains("reason") ? Kind::failure : Kind::result;
}

/// Whether the file holds lines of this kind alone, and as this program writes them.
bool is_own(const std::string& path, Kind kind) {
  Lines lines(path);
  for (std::string_view text; lines.next(text);) {
    const auto line = parse_json(text);
    if (kind_of(line) != kind) return false;
    const auto is = [&](const char* name, const char* value) {
      const auto found = line->find(name);
      return found != line->end() && *found == value;
    };
    const auto id = line->find("custom_id");
    if (id == line->end() || !id->is_string() || !is_answer_key(id->get_ref<const std::string&>()))
      return false;
    if (kind == Kind::request && !(is("method", kMethod) && is("url", kUrl))) return false;
  }
  return true;
}

/// Whether a file whose name does not say so seems to hold results. Never throws.
bool seems_results(const std::string& path) {
  std::string head(kChunk, '\0');
  try {
    head.resize(InputFile(path).read(head.data(), head.size()));
  } catch (const Error&) {
    return false;  // somebody else's, and closed to us
  }
  const auto begin = head.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return begin != head.npos && head[begin] == '{' && head.find(R"("custom_id")") != head.npos &&
         head.find(R"("response")") != head.npos;
}

/// The k-th file of a kind that this program writes: requests-3.jsonl; failures.jsonl, failures-2.jsonl.
std::string own_name(const std::string& stem, std::int64_t k) {
  return stem == kFailures && k == 1 ? stem + ".jsonl" : fmt::format("{}-{}.jsonl", stem, k);
}

/// Its number; nothing for any other name.
std::optional<std::int64_t> own_number(const std::string& name, const std::string& stem) {
  std::int64_t k = 1;
  if (name.starts_with(stem + "-"))
    std::from_chars(name.data() + stem.size() + 1, name.data() + name.size(), k);
  return k > 0 && own_name(stem, k) == name ? std::optional(k) : std::nullopt;
}

/// The folder's files, as far as they concern this program.
struct Folder {
  std::string path;
  std::vector<std::string> results;   // paths of what may hold some
  std::set<std::string> own, others;  // names that may be, and may not be, replaced

  explicit Folder(const std::string& folder) : path(folder) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      others.insert(name);
      const std::string file = entry.path().string();
      if (!entry.is_regular_file() || !(name.ends_with(".jsonl") || seems_results(file))) continue;
      const bool ours = (own_number(name, "requests") && is_own(file, Kind::request)) ||
                        (own_number(name, kFailures) && is_own(file, Kind::failure));
      if (!ours) results.push_back(file);
      if (!ours || entry.symlink_status().type() != fs::file_type::regular) continue;
      others.erase(name);
      own.insert(name);
    }
    std::sort(results.begin(), results.end());
  }
  /// The next file of a kind that may be written, counting `k` on.
  std::string next(const std::string& stem, std::int64_t& k) {
    do ++k;
    while (others.contains(own_name(stem, k)));
    own.erase(own_name(stem, k));
    return path + "/" + own_name(stem, k);
  }
  /// Removes the program's files of earlier calls that were not written again.
  void remove_rest() {
    for (const std::string& name : own) fs::remove(path + "/" + name);
  }
};

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

/// Writes the requests in files of the size that OpenAI takes.
class RequestFiles {
 public:
  explicit RequestFiles(Folder& folder) : folder_(folder) {}
  void add(const std::string& line) {
    if (file_ && (requests_ >= kMostRequests || bytes_ + static_cast<std::int64_t>(line.size()) > kMostBytes))
      finish();
    if (!file_) {
      file_ = std::make_unique<AtomicFile>(folder_.next("requests", number_));
      ++files_;
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
  Folder& folder_;
  std::unique_ptr<AtomicFile> file_;
  int files_ = 0;
  std::int64_t number_ = 0, requests_ = 0, bytes_ = 0;
};

/// What came back.
struct Results {
  bool any = false;
  std::unordered_map<std::string, std::string> failures;  // id to reason, of those that hold no answer
};

/// Puts all results into the cache. Warns of lines that belong to no prompt.
Results take_results(const Questions& questions, const Folder& folder, AnswerCache& cache,
                     ScoreSummary& summary) {
  std::unordered_map<std::string, std::int64_t> asked;
  for (std::int64_t k = 0; k < questions.count(); ++k) asked.emplace(questions.at(k).id, k);
  Results results;
  auto& failures = results.failures;
  for (const std::string& path : folder.results) {
    Lines lines(path);
    std::int64_t with_id = 0, without_id = 0, first_without = 0;
    for (std::string_view text; lines.next(text);) {
      const auto line = parse_json(text);
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
      if (kind_of(line) != Kind::result) continue;
      results.any = true;
      const auto number = asked.find(id);
      if (number == asked.end()) continue;  // of another template, model or plan
      if (!line) {
        failures.emplace(id, "a result that is cut off, no JSON, or nested too deep");
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
  fs::create_directories(options.batch);
  const Questions questions(job);
  Tally tally(questions);
  AnswerCache cache(options.cache);
  ScoreResult result;
  ScoreSummary& summary = tally.summary;
  Folder folder(options.batch);
  const Results results = take_results(questions, folder, cache, summary);

  RequestFiles requests(folder);
  std::int64_t failure_files = 0;
  AtomicFile failed(folder.next(kFailures, failure_files));
  std::int64_t open = 0;
  for (std::int64_t k = 0; k < questions.count(); ++k) {
    const Question question = questions.at(k);
    if (const auto stored = stored_answer(questions, question, cache)) {
      ++summary.cached;
      summary.tokens_in += stored->cost.tokens_in;
      summary.tokens_out += stored->cost.tokens_out;
      tally.answer(question, k, stored->answer, stored->read);
      continue;
    }
    ++open;
    requests.add(fmt::format(R"({{"custom_id":"{}","method":"{}","url":"{}","body":{}}})", question.id,
                             kMethod, kUrl, question.body));
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
