// The folder of OpenAI's batch files: which files are the program's own, and which hold results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/atomic_file.h"
#include "host/base/input_file.h"

namespace sllmr::batch {

inline constexpr const char* kFailures = "failures";

/// The lines of a file, plain or gzip, that are not blank. Unlike those of LineReader: a line that somebody
/// damaged costs no more than itself.
class Lines {
 public:
  explicit Lines(const std::string& path);

  /// Moves to the next one, valid until the next call; false at the end of the file. Throws Error for what
  /// cannot be read.
  bool next(std::string_view& line);
  /// Of the line, counted from 1; blank ones count.
  std::int64_t number() const { return number_; }

 private:
  bool next_raw(std::string_view& line);

  std::string path_;
  InputFile file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what of buffer_ was not returned yet
  std::string text_;
  std::int64_t number_ = 0;
};

enum class LineKind { result, request, failure };

/// What a line is: a result, unless it is clearly something else. `line` is nothing where it is no JSON.
LineKind kind_of(const std::optional<nlohmann::json>& line);

/// The folder's files, as far as they concern this program.
struct Folder {
  std::string path;
  std::vector<std::string> results;   // paths of what may hold some
  std::set<std::string> own, others;  // names that may be, and may not be, replaced

  explicit Folder(const std::string& folder);
  /// The next file of a kind that may be written, counting `k` on.
  std::string next(const std::string& stem, std::int64_t& k);
  /// Removes the program's files of earlier calls that were not written again.
  void remove_rest();
};

/// Writes the requests in files of the size that OpenAI takes.
class RequestFiles {
 public:
  explicit RequestFiles(Folder& folder) : folder_(folder) {}
  /// `id` is the prompt's; `body` is JSON.
  void add(const std::string& id, const std::string& body);
  /// Ends the last file. Returns how many there are.
  int finish();

 private:
  Folder& folder_;
  std::unique_ptr<AtomicFile> file_;
  int files_ = 0;
  std::int64_t number_ = 0, requests_ = 0, bytes_ = 0;
};

}  // namespace sllmr::batch
