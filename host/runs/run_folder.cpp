#include "host/runs/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "host/base/atomic_file.h"
#include "host/base/json_text.h"
#include "host/base/listener.h"
#include "host/base/text_file.h"
#include "host/eval/slices.h"
#include "kernels/exec/error.h"

namespace sllmr {
namespace {

namespace fs = std::filesystem;

constexpr const char* config_file =
    "config.toml";  // written first: its presence says that the folder holds a run
constexpr const char* metrics_file = "metrics.jsonl";
constexpr const char* guidance_file = "guidance.jsonl";
constexpr const char* summary_file = "summary.json";
constexpr const char* users_file = "users.tsv";
constexpr const char* items_file = "items.tsv";
constexpr const char* lock_file = ".lock";
constexpr const char* own_files[] = {config_file,   users_file,   items_file,      metrics_file,
                                     guidance_file, summary_file, kCheckpointFile, kBestFile};

void write_file(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.stream() << text;
  file.commit();
}

void write_rows(const std::string& path, const char* token_name, const TokenMap& tokens) {
  AtomicFile file(path);
  file.stream() << token_name << "\trow\n";
  for (Id row = 1; row < tokens.rows(); ++row) file.stream() << tokens.token(row) << '\t' << row << '\n';
  file.commit();
}

}  // namespace

RunFolder::Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}
RunFolder::Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
RunFolder::Descriptor& RunFolder::Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

RunFolder::RunFolder(const std::string& path) : path_(path), lock_(FileLock::try_take(file(lock_file))) {
  if (!lock_) throw FolderBusy(fmt::format("another process is training in '{}'", path_));
}

RunFolder RunFolder::create(const std::string& path, const Config& config) {
  std::error_code error;
  fs::create_directories(path, error);
  require(!error, fmt::format("cannot create run folder '{}': {}", path, error.message()));
  RunFolder folder(path);
  require(!fs::exists(folder.file(config_file)),
          fmt::format("run folder '{}' holds a run: resume it, remove it, or choose another run_dir", path));
  folder.remove_temporaries();
  for (const char* name : own_files) {
    const fs::path own = folder.file(name);
    // A run that was killed as it began left empty logs.
    require(
        !fs::exists(own) || (fs::is_regular_file(own) && fs::file_size(own) == 0),
        fmt::format("run folder '{}' holds a {} but no {}, so no run that could go on: remove the file, or "
                    "choose another run_dir",
                    path, name, config_file));
  }
  folder.open_logs();
  write_file(folder.file(config_file), to_toml(config));
  return folder;
}

RunFolder RunFolder::resume(const std::string& path) {
  require(fs::exists(path + "/" + config_file),
          fmt::format("nothing to resume in '{}': it has no {}", path, config_file));
  RunFolder folder(path);
  folder.remove_temporaries();
  folder.open_logs();
  return folder;
}

void RunFolder::remove(const std::string& path) {
  if (!fs::exists(path)) return;
  const RunFolder folder(path);
  folder.remove_temporaries();
  for (const char* name : own_files) fs::remove(folder.file(name));
  fs::remove(folder.file(lock_file));
  std::error_code not_empty;
  fs::remove(path, not_empty);
}

void RunFolder::remove_temporaries() const {
  std::vector<fs::path> temporaries;
  for (const auto& entry : fs::directory_iterator(path_)) {
    const std::string name = entry.path().filename().string();
    const auto of_name = [&](const char* own) { return is_temporary_of(name, own); };
    if (entry.is_regular_file() && std::ranges::any_of(own_files, of_name))
      temporaries.push_back(entry.path());
  }
  for (const fs::path& temporary : temporaries) fs::remove(temporary);
}

void RunFolder::log(const nlohmann::json& event) {
  append(metrics_, metrics_file, event);
  if (Listener* const hears = listener(); hears != nullptr) hears->event(event);
}

void RunFolder::log_guidance(const nlohmann::json& event) {
  append(guidance_, guidance_file, event);
}

void RunFolder::drop_events_after(std::int64_t epoch) {
  drop_events_after(metrics_file, epoch);
  drop_events_after(guidance_file, epoch);
  open_logs();  // the descriptors still point to the files that were replaced
}

void RunFolder::write_tokens(const Dataset& data) {
  write_rows(file(users_file), "user_id", data.users);
  write_rows(file(items_file), "item_id", data.items);
}

void RunFolder::write_summary(const nlohmann::json& summary) {
  write_file(file(summary_file), summary.dump(2) + '\n');
}

RunFolder::Descriptor RunFolder::open(const char* name, int flags) const {
  const int fd = ::open(file(name).c_str(), flags | O_CLOEXEC, 0666);
  require(fd >= 0, fmt::format("cannot open '{}': {}", file(name), std::strerror(errno)));
  return Descriptor(fd);
}

void RunFolder::open_logs() {
  metrics_ = open(metrics_file, O_WRONLY | O_CREAT | O_APPEND);
  guidance_ = open(guidance_file, O_WRONLY | O_CREAT | O_APPEND);
}

void RunFolder::append(const Descriptor& log, const char* name, const nlohmann::json& event) const {
  const std::string line = event.dump() + '\n';
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t written = ::write(log.get(), rest.data(), rest.size());
    require(written >= 0 || errno == EINTR,
            fmt::format("cannot write '{}': {}", file(name), std::strerror(errno)));
    if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void RunFolder::drop_events_after(const char* name, std::int64_t epoch) const {
  std::ifstream in(file(name), std::ios::binary);
  std::string kept, line;
  for (int number = 1; std::getline(in, line) && !in.eof(); ++number) {  // eof: no newline, so a torn line
    const std::optional<nlohmann::json> event = parse_json(line);
    require(event && event->is_object(),
            fmt::format("{}:{}: not a JSON event; remove the line to resume", file(name), number));
    if (const auto its = event->find("epoch"); its != event->end()) {
      // Epochs are written as int: what does not fit was written by somebody else.
      require(its->is_number_integer() && std::in_range<int>(its->get<std::int64_t>()) && *its >= 0,
              fmt::format("{}:{}: \"epoch\" is no number of an epoch; remove the line to resume", file(name),
                          number));
      if (its->get<std::int64_t>() > epoch) break;
    }
    kept += line + '\n';
  }
  write_file(file(name), kept);
}

std::vector<std::string> run_files(const std::string& folder) {
  std::vector<std::string> files;
  for (const char* name : own_files) files.push_back(fmt::format("{}/{}", folder, name));
  files.push_back(fmt::format("{}/{}", folder, lock_file));
  return files;
}

namespace {

/// What is wrong with a summary; empty for none.
std::string fault_of(const nlohmann::json& summary) {
  if (!summary.is_object()) return "it is no JSON object";
  const auto is = [&](const char* at, auto&& of_type) {
    const nlohmann::json::json_pointer pointer(at);
    return summary.contains(pointer) && of_type(summary.at(pointer));
  };
  const auto text = [](const nlohmann::json& value) { return value.is_string(); };
  const auto number = [](const nlohmann::json& value) { return value.is_number(); };
  const auto figure = [](const nlohmann::json& value) { return value.is_number() || value.is_null(); };
  const auto slices = [&](const nlohmann::json& value) {
    return value.is_object() && std::ranges::all_of(kSliceNames, [&](const char* slice) {
             return value.contains(slice) && figure(value.at(slice));
           });
  };
  for (const char* at : {"/config", "/data_hash", "/commit", "/method", "/test/protocol"}) {
    if (!is(at, text)) return fmt::format("it has no text '{}'", at);
  }
  for (const char* at : {"/seconds/total", "/seconds/train"}) {
    if (!is(at, number)) return fmt::format("it has no number '{}'", at);
  }
  for (const char* name : {"triples_per_s", "rows_per_s"}) {
    if (summary.contains(name) && !number(summary[name])) return fmt::format("'/{}' is no number", name);
  }
  if (!summary.contains("machine")) return "it has no 'machine'";
  if (!is("/test/n", slices)) return "it has no figures '/test/n'";
  for (const auto& [name, value] : summary["test"].items()) {
    if (value.is_object() && !slices(value)) return fmt::format("'/test/{}' has no figures", name);
  }
  return {};
}

}  // namespace

nlohmann::json read_summary(const std::string& folder) {
  const std::string path = (fs::path(folder) / summary_file).string();
  if (!fs::exists(path)) return nullptr;
  const std::optional<nlohmann::json> summary = parse_json(read_text_file(path, "the summary"));
  const std::string fault = summary ? fault_of(*summary) : "it is no JSON";
  require(fault.empty(),
          fmt::format("{}: not a run's summary ({}); remove the folder, or choose another one", path, fault));
  return *summary;
}

}  // namespace sllmr
