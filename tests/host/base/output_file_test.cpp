#include "host/base/output_file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/host/support.h"

namespace sllmr {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class OutputFile : public testing::Test {
 protected:
  std::string error(const std::string& path, bool force = false) const {
    const auto is_ours = [](const std::string& file) { return has_first_line(file, "ours"); };
    return error_of([&] {
      check_output(path, std::vector<std::string>{folder_ / "none", input_}, is_ours, force);
    });
  }
  std::string write(const char* name, const char* text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  TemporaryFolder folder_;
  std::string input_ = write("input", "ours\n");
};

TEST_F(OutputFile, AnInputIsNotWrittenOverWhateverItsNameAndWithForce) {
  fs::create_symlink("input", folder_ / "link");
  fs::create_hard_link(input_, folder_ / "second_name");
  fs::create_directory(folder_ / "f");
  for (const char* name : {"input", "link", "second_name", "f/../input"}) {
    for (const bool force : {false, true}) {
      EXPECT_THAT(error(folder_ / name, force), HasSubstr("is read by this command")) << name;
    }
  }
}

TEST_F(OutputFile, AnInputThatIsStillToBeMadeIsNoOutputEither) {
  for (const char* name : {"none", "./none", "f/../none"}) {
    EXPECT_THAT(error(folder_ / name), HasSubstr("is read by this command")) << name;
  }
}

TEST_F(OutputFile, SomebodyElsesFileIsReplacedByForceAlone) {
  const std::string path = write("notes", "ours, as they say\n");
  EXPECT_THAT(error(path), HasSubstr("give --force"));
  EXPECT_EQ(error(path, true), "no error");
  fs::create_symlink("notes", folder_ / "link");
  EXPECT_THAT(error(folder_ / "link"), HasSubstr("give --force"));
  EXPECT_THAT(error(write("short", "our")), HasSubstr("give --force"));
  EXPECT_THAT(error(write("cut", "ours")), HasSubstr("give --force"));
}

TEST_F(OutputFile, NewEmptyAndOwnFilesAreFree) {
  EXPECT_EQ(error(folder_ / "new"), "no error");
  EXPECT_EQ(error(folder_ / "no/such/folder"), "no error") << "its writer tells";
  EXPECT_EQ(error(write("empty", "")), "no error");
  EXPECT_EQ(error(write("earlier", "ours\nand more")), "no error");
}

}  // namespace
}  // namespace sllmr
