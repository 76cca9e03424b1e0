// Every answer that was paid for, on disk before it is used.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/exec/not_copied.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sllmr {

/// One answer and what it cost.
struct CachedAnswer {
  std::string text;  // JSON; what it holds is the scorer's affair
  std::string model, template_name;
  std::int64_t tokens_in = 0, tokens_out = 0;
  double seconds = 0;
  std::int64_t created = 0;  // Unix time; 0 in put(): now
  std::string server = {};   // who gave it (server_name()); empty in the files of older versions
};

/// 32 hexadecimal digits: 128-bit FNV-1a over the parts, each preceded by its length. Everything that
/// influences an answer is a part: the server, and the key of model, template, parameters and prompt.
std::string answer_key(std::initializer_list<std::string_view> parts);

/// Whether a text has the form of answer_key().
bool is_answer_key(std::string_view text);

/// A SQLite file in WAL mode. put() returns when the answer survives the death of the process; a power cut
/// may cost the last ones, and never the file. Tokens, seconds and times that no server can have reported
/// (negative, or beyond 2^40) are read as 0. Several processes may share a cache. All functions throw Error
/// with the path for what SQLite refuses: no space, no permission, not a cache.
class AnswerCache : NotCopied {
 public:
  /// Opens the file, or makes it.
  explicit AnswerCache(const std::string& path);
  ~AnswerCache();

  std::optional<CachedAnswer> find(std::string_view key);
  bool contains(std::string_view key);
  /// Keeps the first answer of a key. Returns whether it was new.
  bool put(std::string_view key, const CachedAnswer& answer);
  /// Puts an answer; it replaces one that cannot be used.
  void replace(std::string_view key, const CachedAnswer& answer);
  /// In the order of the keys.
  void for_each(const std::function<void(std::string_view key, const CachedAnswer&)>& use);

  struct Sums {
    std::int64_t answers = 0, tokens_in = 0, tokens_out = 0, first = 0, last = 0;  // Unix times
    double seconds = 0;
  };
  /// Answers of older versions, which say nothing of the server: no key finds them.
  std::int64_t without_server();
  /// By (model, template).
  std::map<std::pair<std::string, std::string>, Sums> sums();

  /// JSON lines of all answers, the file whole or not at all. Returns how many.
  std::int64_t export_to(const std::string& path);
  /// Adds what export_to() wrote, all or nothing; answers that are there stay. Returns how many were new.
  /// Error naming the line for what no export holds, a negative number of tokens say.
  /// `server` gave the answers of older versions; Error where there are some and it is empty.
  std::int64_t import_from(const std::string& path, const std::string& server = "");

 private:
  class Statement;
  bool write(Statement& statement, std::string_view key, const CachedAnswer& answer);
  void execute(const char* sql);
  void add_server();
  [[noreturn]] void fail(const char* action) const;

  std::string path_;
  sqlite3* database_ = nullptr;
  std::unique_ptr<Statement> find_, put_, replace_;
};

}  // namespace sllmr
