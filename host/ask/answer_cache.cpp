#include "host/ask/answer_cache.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/base/atomic_file.h"
#include "host/base/json_text.h"
#include "host/base/line_reader.h"
#include "kernels/exec/error.h"
#include "kernels/exec/fnv.h"
#include "kernels/exec/not_copied.h"

namespace sllmr {
namespace {

using nlohmann::json;

constexpr int kFormat = 2;  // user_version of the file; 1 has no column for the server
constexpr std::size_t kKeyDigits = 32;
constexpr int kBusyMs = 30000;
constexpr std::int64_t kMostOfAnswer = std::int64_t{1} << 40;  // tokens, seconds or the time of one answer

/// A column's number in SQL; 0 for one that no answer can have: it would go into bills and budgets.
std::string bounded(const char* column) {
  return fmt::format("CASE WHEN {0} BETWEEN 0 AND {1} THEN {0} ELSE 0 END", column, kMostOfAnswer);
}

/// The columns of a CachedAnswer, in order.
std::string answer_columns() {
  return fmt::format("answer, model, template, {}, {}, {}, {}, server", bounded("tokens_in"),
                     bounded("tokens_out"), bounded("seconds"), bounded("created"));
}

}  // namespace

bool is_answer_key(std::string_view text) {
  return text.size() == kKeyDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::string answer_key(std::initializer_list<std::string_view> parts) {
  Fnv<unsigned __int128> hash;
  for (const std::string_view part : parts) {
    hash.add_bytes(fmt::format("{}:", part.size()));
    hash.add_bytes(part);
  }
  return fmt::format("{:016x}{:016x}", static_cast<std::uint64_t>(hash.value() >> 64),
                     static_cast<std::uint64_t>(hash.value()));
}

/// A prepared statement; its columns are those of CachedAnswer, in order.
class AnswerCache::Statement : NotCopied {
 public:
  Statement(AnswerCache& cache, const std::string& sql) : cache_(cache) {
    if (sqlite3_prepare_v2(cache.database_, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK)
      cache.fail("read");
  }
  ~Statement() { sqlite3_finalize(statement_); }

  void bind(int parameter, std::string_view text) {
    sqlite3_bind_text64(statement_, parameter, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  void bind(int parameter, std::int64_t number) { sqlite3_bind_int64(statement_, parameter, number); }
  void bind(int parameter, double number) { sqlite3_bind_double(statement_, parameter, number); }

  /// Is there a row (another row)?
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) {
      sqlite3_reset(statement_);
      cache_.fail(sqlite3_stmt_readonly(statement_) ? "read" : "write");
    }
    return false;
  }
  void reset() { sqlite3_reset(statement_); }

  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)))
                 : std::string();
  }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  CachedAnswer answer(int first) const {
    return {text(first),        text(first + 1), text(first + 2),    integer(first + 3),
            integer(first + 4), real(first + 5), integer(first + 6), text(first + 7)};
  }

 private:
  AnswerCache& cache_;
  sqlite3_stmt* statement_ = nullptr;
};

AnswerCache::AnswerCache(const std::string& path) : path_(path) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  try {
    if (sqlite3_open_v2(path.c_str(), &database_, flags, nullptr) != SQLITE_OK) fail("open");
    sqlite3_busy_timeout(database_, kBusyMs);
    Statement version(*this, "PRAGMA user_version");
    version.step();
    const std::int64_t format = version.integer(0);
    version.reset();
    Statement tables(*this, "SELECT count(*) FROM sqlite_master");
    tables.step();
    const bool empty = tables.integer(0) == 0;
    tables.reset();
    require(format == kFormat || format == 1 || (format == 0 && empty),
            fmt::format("'{}' is a database, but no answer cache of this version; name another file", path));
    // In WAL mode NORMAL syncs at checkpoints only: an answer is safe from the death of the process at once.
    execute("PRAGMA journal_mode = WAL");
    execute("PRAGMA synchronous = NORMAL");
    execute(
        "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, model TEXT NOT "
        "NULL, "
        "template TEXT NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, "
        "seconds REAL NOT NULL, created INTEGER NOT NULL, server TEXT NOT NULL DEFAULT '') WITHOUT ROWID");
    if (format == 1) add_server();
    execute(fmt::format("PRAGMA user_version = {}", kFormat).c_str());
    find_ = std::make_unique<Statement>(
        *this, fmt::format("SELECT {} FROM answers WHERE key = ?1", answer_columns()));
    put_ = std::make_unique<Statement>(
        *this, "INSERT OR IGNORE INTO answers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    replace_ = std::make_unique<Statement>(
        *this, "INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
  } catch (...) {
    find_.reset();
    put_.reset();
    replace_.reset();
    sqlite3_close(database_);
    throw;
  }
}

AnswerCache::~AnswerCache() {
  find_.reset();
  put_.reset();
  replace_.reset();
  sqlite3_close(database_);
}

std::optional<CachedAnswer> AnswerCache::find(std::string_view key) {
  find_->bind(1, key);
  std::optional<CachedAnswer> found;
  if (find_->step()) found = find_->answer(0);
  find_->reset();
  return found;
}

bool AnswerCache::contains(std::string_view key) {
  find_->bind(1, key);
  const bool found = find_->step();
  find_->reset();
  return found;
}

bool AnswerCache::write(Statement& statement, std::string_view key, const CachedAnswer& answer) {
  statement.bind(1, key);
  statement.bind(2, std::string_view(answer.text));
  statement.bind(3, std::string_view(answer.model));
  statement.bind(4, std::string_view(answer.template_name));
  statement.bind(5, answer.tokens_in);
  statement.bind(6, answer.tokens_out);
  statement.bind(7, answer.seconds);
  statement.bind(8, answer.created != 0 ? answer.created : static_cast<std::int64_t>(std::time(nullptr)));
  statement.bind(9, std::string_view(answer.server));
  statement.step();
  statement.reset();
  return sqlite3_changes(database_) > 0;
}

bool AnswerCache::put(std::string_view key, const CachedAnswer& answer) {
  return write(*put_, key, answer);
}

void AnswerCache::replace(std::string_view key, const CachedAnswer& answer) {
  write(*replace_, key, answer);
}

std::int64_t AnswerCache::without_server() {
  Statement count(*this, "SELECT count(*) FROM answers WHERE server = ''");
  count.step();
  return count.integer(0);
}

void AnswerCache::for_each(const std::function<void(std::string_view, const CachedAnswer&)>& use) {
  Statement all(*this, fmt::format("SELECT key, {} FROM answers ORDER BY key", answer_columns()));
  while (all.step()) use(all.text(0), all.answer(1));
}

std::map<std::pair<std::string, std::string>, AnswerCache::Sums> AnswerCache::sums() {
  Statement groups(
      *this,
      fmt::format("SELECT model, template, count(*), sum({0}), sum({1}), min({2}), max({2}), sum({3}) "
                  "FROM answers GROUP BY model, template",
                  bounded("tokens_in"), bounded("tokens_out"), bounded("created"), bounded("seconds")));
  std::map<std::pair<std::string, std::string>, Sums> result;
  while (groups.step()) {
    result[{groups.text(0), groups.text(1)}] = {groups.integer(2), groups.integer(3), groups.integer(4),
                                                groups.integer(5), groups.integer(6), groups.real(7)};
  }
  return result;
}

std::int64_t AnswerCache::export_to(const std::string& path) {
  AtomicFile file(path);
  std::int64_t count = 0;
  for_each([&](std::string_view key, const CachedAnswer& answer) {
    const json line = {{"key", key},
                       {"answer", answer.text},
                       {"model", answer.model},
                       {"template", answer.template_name},
                       {"tokens_in", answer.tokens_in},
                       {"tokens_out", answer.tokens_out},
                       {"seconds", answer.seconds},
                       {"created", answer.created},
                       {"server", answer.server}};
    file.stream() << json_text(line) << '\n';
    ++count;
  });
  file.commit();
  return count;
}

std::int64_t AnswerCache::import_from(const std::string& path, const std::string& server) {
  LineReader lines(path);
  std::int64_t added = 0;
  execute("BEGIN");
  try {
    for (std::string_view line; lines.next(line);) {
      const json object = parse_json(line).value_or(json());
      CachedAnswer answer;
      std::string key;
      // What adds up to a bill.
      const auto bounded_number = [&](const char* name, bool whole) -> const json& {
        const json& value = object.at(name);
        const bool is_number = whole ? value.is_number_integer() : value.is_number();
        const double number = is_number ? value.get<double>() : -1;
        if (!(number >= 0 && number <= static_cast<double>(kMostOfAnswer)))
          lines.fail(fmt::format("'{}' is not {} from 0 to 2^40; correct it, or export the cache again", name,
                                 whole ? "an integer" : "a number"));
        return value;
      };
      try {
        key = object.at("key").get<std::string>();
        answer = {object.at("answer").get<std::string>(),
                  object.at("model").get<std::string>(),
                  object.at("template").get<std::string>(),
                  bounded_number("tokens_in", true).get<std::int64_t>(),
                  bounded_number("tokens_out", true).get<std::int64_t>(),
                  bounded_number("seconds", false).get<double>(),
                  bounded_number("created", true).get<std::int64_t>(),
                  object.value("server", "")};
      } catch (const json::exception&) {
        lines.fail("not an exported answer, or a truncated one; export the cache again");
      }
      if (!is_answer_key(key)) lines.fail("the key is not 32 hexadecimal digits; export the cache again");
      if (answer.server.empty()) {
        if (server.empty())
          lines.fail(
              "an answer of an older version does not say which server gave it; name it with --server");
        key = answer_key({server, key});
        answer.server = server;
      }
      added += put(key, answer);
    }
  } catch (...) {
    sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  execute("COMMIT");
  return added;
}

void AnswerCache::add_server() {
  // Another process may be at it.
  execute("BEGIN IMMEDIATE");
  Statement columns(*this, "SELECT count(*) FROM pragma_table_info('answers') WHERE name = 'server'");
  columns.step();
  const bool there = columns.integer(0) > 0;
  columns.reset();
  if (!there) execute("ALTER TABLE answers ADD COLUMN server TEXT NOT NULL DEFAULT ''");
  execute("COMMIT");
}

void AnswerCache::execute(const char* sql) {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("write");
}

void AnswerCache::fail(const char* action) const {
  throw Error(fmt::format("cannot {} the answer cache '{}': {}", action, path_,
                          database_ ? sqlite3_errmsg(database_) : "out of memory"));
}

}  // namespace sllmr
