#include "host/ask/batch_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/ask/answer_cache.h"
#include "host/base/json_text.h"
#include "kernels/exec/error.h"

namespace sllmr::batch {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// What OpenAI takes at most in one file.
constexpr std::int64_t kMostRequests = 50000;
constexpr std::int64_t kMostBytes = 190'000'000;

constexpr std::string_view kBlank = " \t\r";
constexpr std::size_t kChunk = std::size_t{1} << 16;

constexpr const char* kMethod = "POST";
constexpr const char* kUrl = "/v1/chat/completions";

/// Whether the file holds lines of this kind alone, and as this program writes them.
bool is_own(const std::string& path, LineKind kind) {
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
    if (kind == LineKind::request && !(is("method", kMethod) && is("url", kUrl))) return false;
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

}  // namespace

Lines::Lines(const std::string& path) : path_(path), file_(path), buffer_(kChunk) {}

bool Lines::next(std::string_view& line) {
  do {
    if (!next_raw(line)) return false;
  } while (line.find_first_not_of(kBlank) == line.npos);
  return true;
}

bool Lines::next_raw(std::string_view& line) {
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

LineKind kind_of(const std::optional<json>& line) {
  if (!line || !line->is_object() || line->contains("response") || line->contains("error"))
    return LineKind::result;
  if (line->contains("method") && line->contains("body")) return LineKind::request;
  return line->contains("custom_id") && line->contains("reason") ? LineKind::failure : LineKind::result;
}

Folder::Folder(const std::string& folder) : path(folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    others.insert(name);
    const std::string file = entry.path().string();
    if (!entry.is_regular_file() || !(name.ends_with(".jsonl") || seems_results(file))) continue;
    const bool ours = (own_number(name, "requests") && is_own(file, LineKind::request)) ||
                      (own_number(name, kFailures) && is_own(file, LineKind::failure));
    if (!ours) results.push_back(file);
    if (!ours || entry.symlink_status().type() != fs::file_type::regular) continue;
    others.erase(name);
    own.insert(name);
  }
  std::sort(results.begin(), results.end());
}

std::string Folder::next(const std::string& stem, std::int64_t& k) {
  do ++k;
  while (others.contains(own_name(stem, k)));
  own.erase(own_name(stem, k));
  return path + "/" + own_name(stem, k);
}

void Folder::remove_rest() {
  for (const std::string& name : own) fs::remove(path + "/" + name);
}

void RequestFiles::add(const std::string& id, const std::string& body) {
  const std::string line =
      fmt::format(R"({{"custom_id":"{}","method":"{}","url":"{}","body":{}}})", id, kMethod, kUrl, body);
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

int RequestFiles::finish() {
  if (file_) file_->commit();
  file_.reset();
  return files_;
}

}  // namespace sllmr::batch
