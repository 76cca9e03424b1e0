// What a run leaves behind: config.toml, metrics.jsonl, gate.jsonl, summary.json and the caller's
// checkpoints.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "host/config/config.h"

namespace sllmr {

/// The folder of one run, locked against a second process while this object lives. Every failed write throws
/// Error naming path and cause.
class RunFolder {
 public:
  /// Starts a run: makes the folder, with its parents, and stores the configuration. Throws Error when it
  /// holds a run.
  static RunFolder create(const std::string& path, const Config& config);
  /// Opens the folder of an earlier run to append to it, and removes what a killed process left half-written.
  /// Throws Error when it holds no run.
  static RunFolder resume(const std::string& path);

  const std::string& path() const { return path_; }
  /// Path of a file of the run: file("model.safetensors").
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  /// Appends a line to metrics.jsonl, or to gate.jsonl. It is in the file when the call returns.
  void log(const nlohmann::json& event);
  void log_gate(const nlohmann::json& event);
  /// Drops, from both logs, the first event with "epoch" above `epoch` and all that follow, and a torn last
  /// line: with the checkpoint's epoch, a resumed run logs what an uninterrupted one does.
  void drop_events_after(std::int64_t epoch);
  /// Writes summary.json, atomically.
  void write_summary(const nlohmann::json& summary);

 private:
  // Closes on destruction; -1: none.
  class Descriptor {
   public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    ~Descriptor();
    Descriptor(Descriptor&& other) noexcept;
    Descriptor& operator=(Descriptor&& other) noexcept;
    int get() const { return fd_; }

   private:
    int fd_;
  };

  explicit RunFolder(const std::string& path);
  Descriptor open(const char* name, int flags) const;
  void open_logs(int flags);
  void append(const Descriptor& log, const char* name, const nlohmann::json& event) const;
  void drop_events_after(const char* name, std::int64_t epoch) const;

  std::string path_;
  Descriptor lock_, metrics_, gate_;
};

/// The summary of the run in a folder; null where it has none. Throws Error naming path and remedy for one
/// that can't be read.
nlohmann::json read_summary(const std::string& folder);

}  // namespace sllmr
