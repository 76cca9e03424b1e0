#include "host/base/file_lock.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "kernels/exec/error.h"
#include "tests/host/support.h"

namespace sllmr {
namespace {

TEST(FileLock, IsHeldByOneUntilItEnds) {
  const TemporaryFolder folder;
  const std::string path = folder / "deep/er.lock";
  EXPECT_FALSE(FileLock::is_taken(path));
  EXPECT_FALSE(std::filesystem::exists(path)) << "a look makes nothing";
  {
    std::optional<FileLock> first = FileLock::try_take(path);
    ASSERT_TRUE(first);
    EXPECT_FALSE(FileLock::try_take(path));
    EXPECT_TRUE(FileLock::is_taken(path));
    const FileLock moved = std::move(*first);
    first.reset();
    EXPECT_TRUE(FileLock::is_taken(path)) << "it went with the move";
  }
  EXPECT_FALSE(FileLock::is_taken(path));
  EXPECT_TRUE(FileLock::try_take(path));
}

TEST(FileLock, AFileThatCannotBeOpenedIsNamed) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "a");
  try {
    FileLock::try_take(folder / "a");
    FAIL() << "a folder was locked";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(folder / "a"));
  }
}

}  // namespace
}  // namespace sllmr
