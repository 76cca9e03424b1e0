// What a run leaves behind: config.toml, users.tsv, items.tsv, metrics.jsonl, guidance.jsonl, summary.json
// and checkpoints; docs/run_folder.md says what is in them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/base/file_lock.h"
#include "host/config/config.h"
#include "host/data/dataset.h"

namespace sllmr {

/// The file of the last checkpoint, and of the best by validation.
inline constexpr const char* kCheckpointFile = "model.safetensors";
inline constexpr const char* kBestFile = "best.safetensors";

/// The paths of all files that a run keeps in `folder`, whether they are there or not.
std::vector<std::string> run_files(const std::string& folder);

/// Another process trains in the folder.
class FolderBusy : public Error {
 public:
  using Error::Error;
};

/// The folder of one run, locked against a second process while this object lives: FolderBusy where that is
/// there first. Every failed write throws Error naming path and cause.
class RunFolder {
 public:
  /// Starts a run: makes the folder, with its parents, and stores the configuration. Other files in it stay,
  /// but for temporaries of a killed run. Throws Error when it holds a run, or a file that the run would
  /// overwrite.
  static RunFolder create(const std::string& path, const Config& config);
  /// Opens the folder of an earlier run to append to it, and removes what a killed process left half-written.
  /// Throws Error when it holds no run.
  static RunFolder resume(const std::string& path);
  /// Removes the files of a run; other files stay, and with them the folder. Does nothing where there is no
  /// folder. Throws Error when another process is training there.
  static void remove(const std::string& path);

  const std::string& path() const { return path_; }
  /// Path of a file of the run: file("model.safetensors").
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  /// Appends a line to metrics.jsonl, or to guidance.jsonl. It is in the file when the call returns.
  void log(const nlohmann::json& event);
  void log_guidance(const nlohmann::json& event);
  /// Drops, from both logs, the first event with "epoch" above `epoch` and all that follow, and a torn last
  /// line: with the checkpoint's epoch, a resumed run logs what an uninterrupted one does.
  void drop_events_after(std::int64_t epoch);
  /// Writes users.tsv and items.tsv, which say whose the rows of the checkpoint's tables are; atomically.
  void write_tokens(const Dataset& data);
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
  void open_logs();
  void remove_temporaries() const;
  void append(const Descriptor& log, const char* name, const nlohmann::json& event) const;
  void drop_events_after(const char* name, std::int64_t epoch) const;

  std::string path_;
  std::optional<FileLock> lock_;
  Descriptor metrics_, guidance_;
};

/// The summary of the run in a folder; null where it has none. Throws Error naming path, fault and remedy for
/// one that can't be read, or lacks what every summary has: config, provenance, and the figures of "test" and
/// "seconds".
nlohmann::json read_summary(const std::string& folder);

}  // namespace sllmr
