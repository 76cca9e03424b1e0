#include "host/base/text_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(TextFile, ReadsFilesAndPipes) {
  const TemporaryFolder folder;
  const std::string text = std::string("a\0b\r\n", 5) + std::string(200'000, 'x');
  std::ofstream(folder / "file") << text;
  EXPECT_EQ(read_text_file(folder / "file", "recipe"), text);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(folder / "pipe") << text; });
  EXPECT_EQ(read_text_file(folder / "pipe", "recipe"), text);
  writer.join();
}

TEST(TextFile, SaysWhyItCannotRead) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { read_text_file(folder.path(), "recipe"); }),
              AllOf(HasSubstr("cannot read recipe '"), HasSubstr("it is a folder")));
  EXPECT_THAT(error_of([&] { read_text_file(folder / "none", "recipe"); }), HasSubstr("No such file"));
  EXPECT_THAT(error_of([] { read_text_file("/dev/zero", "recipe"); }), HasSubstr("more than 64 MiB"));
}

TEST(TextFile, APipeIsToldFromAllElse) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "text";
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink(folder / "pipe", folder / "link");
  for (const char* pipe : {"pipe", "link"}) {
    EXPECT_EQ(
        error_of([&] { require_not_pipe(folder / pipe, "the recipe"); }),
        "the recipe '" + folder / pipe + "' is a pipe, and it is read more than once: write it to a file");
  }
  for (const char* other : {"file", "none", ""}) require_not_pipe(folder / other, "the recipe");
}

}  // namespace
}  // namespace sllmr
