#include "host/base/output_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "kernels/exec/error.h"

namespace sllmr {

namespace fs = std::filesystem;

namespace {

/// By whatever names and links, also where it does not exist yet.
bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error) && !error) return true;
  const fs::path whole = fs::weakly_canonical(fs::absolute(a, error), error);
  return !error && whole == fs::weakly_canonical(fs::absolute(b, error), error) && !error;
}

}  // namespace

void check_output(const std::string& path, std::span<const std::string> inputs, const IsOurs& is_ours,
                  bool force) {
  for (const std::string& input : inputs) {
    require(
        input.empty() || !is_same_file(path, input),
        fmt::format("'{}' is read by this command ('{}'): name another file for its output", path, input));
  }
  std::error_code error;  // a file that cannot be looked at cannot be written either, which its writer tells
  if (!fs::is_regular_file(path, error)) return;
  if (force || fs::file_size(path, error) == 0 || is_ours(path)) return;
  throw Error(fmt::format(
      "'{}' exists and was not made by this command: name another file, or give --force to replace it",
      path));
}

void require_folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  require(folder.empty() || fs::is_directory(folder, error),
          fmt::format("'{}': there is no folder '{}'; make it first", path, folder.string()));
}

bool has_first_line(const std::string& path, std::string_view line) {
  std::ifstream in(path, std::ios::binary);
  std::string begin(line.size() + 1, '\0');
  in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return in.gcount() == static_cast<std::streamsize>(begin.size()) && begin.starts_with(line) &&
         begin.back() == '\n';
}

}  // namespace sllmr
