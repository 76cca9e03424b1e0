#include "host/base/text_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "kernels/exec/error.h"

namespace sllmr {

std::string read_text_file(const std::string& path, std::string_view what) {
  const auto fail = [&](std::string_view reason) {
    throw Error(fmt::format("cannot read {} '{}': {}", what, path, reason));
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) fail("it is a folder");
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) fail(std::strerror(errno));
  std::string text;
  std::vector<char> buffer(1 << 16);
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    text.append(buffer.data(), count);
    if (text.size() > kLargestTextFile) {
      fail(fmt::format("it has more than {} MiB; is it the right file?", kLargestTextFile >> 20));
    }
  }
  if (std::ferror(file.get()) != 0) fail(std::strerror(errno));
  return text;
}

void require_not_pipe(const std::string& path, std::string_view what) {
  std::error_code missing;
  require(!std::filesystem::is_fifo(path, missing),
          fmt::format("{} '{}' is a pipe, and it is read more than once: write it to a file", what, path));
}

}  // namespace sllmr
