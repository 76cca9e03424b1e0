#include "host/output_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "kernels/exec/error.h"

namespace sllmr {

namespace fs = std::filesystem;

void check_output(const std::string& path, std::span<const std::string> inputs, const IsOurs& is_ours,
                  bool force) {
  std::error_code error;  // a file that cannot be looked at cannot be written either, which its writer tells
  if (!fs::is_regular_file(path, error)) return;
  for (const std::string& input : inputs) {
    require(
        !fs::equivalent(path, input, error) || error,
        fmt::format("'{}' is read by this command ('{}'): name another file for its output", path, input));
  }
  if (force || fs::file_size(path, error) == 0 || is_ours(path)) return;
  throw Error(fmt::format(
      "'{}' exists and was not made by this command: name another file, or give --force to replace it",
      path));
}

bool has_first_line(const std::string& path, std::string_view line) {
  std::ifstream in(path, std::ios::binary);
  std::string begin(line.size() + 1, '\0');
  in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return in.gcount() == static_cast<std::streamsize>(begin.size()) && begin.starts_with(line) &&
         begin.back() == '\n';
}

}  // namespace sllmr
