#include "host/base/atomic_file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/host/support.h"

namespace sllmr {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class AtomicFileTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string path_ = folder_ / "table.tsv";
};

TEST_F(AtomicFileTest, AppearsOnlyOnCommit) {
  AtomicFile file(path_);
  file.stream() << "width " << 64 << '\n' << std::flush;
  EXPECT_FALSE(fs::exists(path_));
  file.commit();
  EXPECT_EQ(read_all(path_), "width 64\n");
  EXPECT_EQ(folder_.entries(), 1);
}

TEST_F(AtomicFileTest, WritesLongerThanItsBufferArriveInOrder) {
  std::string expected;
  AtomicFile file(path_);
  for (int i = 0; i < 40; ++i) {
    const std::string small = std::to_string(i) + ' ';
    const std::string large(static_cast<std::size_t>(i) * 20'000, static_cast<char>('a' + i % 26));
    file.stream() << small << large;
    for (char c : small) file.stream().put(c);
    expected.append(small).append(large).append(small);
  }
  file.commit();
  EXPECT_TRUE(read_all(path_) == expected);
}

TEST_F(AtomicFileTest, ManySingleCharactersCrossTheBufferEnd) {
  const std::string expected(600'000, 'x');
  AtomicFile file(path_);
  for (char c : expected) file.stream().put(c);
  file.commit();
  EXPECT_TRUE(read_all(path_) == expected);
}

TEST_F(AtomicFileTest, UncommittedFileKeepsTheOldOneAndLeavesNoTemporary) {
  std::ofstream(path_) << "old";
  {
    AtomicFile file(path_);
    file.stream() << "new" << std::flush;
    EXPECT_EQ(folder_.entries(), 2);
  }
  EXPECT_EQ(read_all(path_), "old");
  EXPECT_EQ(folder_.entries(), 1);
}

TEST_F(AtomicFileTest, FullDiskIsAnErrorWithItsCauseAndKeepsTheOldFile) {
  std::ofstream(path_) << "old";
  for (const std::size_t bytes : {std::size_t{10'000}, std::size_t{1'000'000}}) {
    FileSizeLimit limit(4096);
    EXPECT_THAT(error_of([&] {
                  AtomicFile file(path_);
                  file.stream() << std::string(bytes, 'x');
                  file.commit();
                }),
                AllOf(HasSubstr("cannot write '" + path_ + "'"), HasSubstr("File too large")));
  }
  EXPECT_EQ(read_all(path_), "old");
  EXPECT_EQ(folder_.entries(), 1);
}

TEST_F(AtomicFileTest, AWriteThatFailedBeforeCommitIsRemembered) {
  AtomicFile file(path_);
  {
    FileSizeLimit limit(4096);
    file.stream() << std::string(1'000'000, 'x');
    EXPECT_TRUE(file.stream().bad());
  }
  EXPECT_THAT(error_of([&] { file.commit(); }), HasSubstr("File too large"));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(AtomicFileTest, MissingFolderIsNamed) {
  const std::string path = folder_ / "missing/table.tsv";
  EXPECT_THAT(error_of([&] { AtomicFile file(path); }),
              AllOf(HasSubstr("cannot create '" + path + "'"), HasSubstr("No such file or directory")));
}

TEST_F(AtomicFileTest, PathBelowAFileIsAnError) {
  std::ofstream(path_) << "a file";
  EXPECT_THAT(error_of([&] { AtomicFile file(path_ + "/below"); }), HasSubstr("Not a directory"));
}

TEST_F(AtomicFileTest, DevicesAndFoldersAreNotReplaced) {
  EXPECT_THAT(error_of([] { AtomicFile file("/dev/null"); }), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of([&] { AtomicFile file(folder_.path()); }), HasSubstr("not a regular file"));
}

TEST_F(AtomicFileTest, AReplacedFileKeepsItsMode) {
  for (const fs::perms mode : {fs::perms(0600), fs::perms(0664)}) {
    std::ofstream(path_) << "old";
    fs::permissions(path_, mode);
    AtomicFile file(path_);
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      EXPECT_EQ(entry.status().permissions(), mode) << "what is secret is so while it is written: " << entry;
    }
    file.stream() << "new";
    file.commit();
    EXPECT_EQ(read_all(path_), "new");
    EXPECT_EQ(fs::status(path_).permissions(), mode);
  }
}

TEST_F(AtomicFileTest, ASymbolicLinkStaysAndItsTargetIsWritten) {
  fs::create_directory(folder_ / "far");
  fs::create_symlink("far/table.tsv", folder_ / "near");
  fs::create_symlink("near", path_);
  for (const char* text : {"first", "second"}) {  // the target comes to be, then is replaced
    AtomicFile file(path_);
    file.stream() << text;
    file.commit();
    EXPECT_TRUE(fs::is_symlink(path_) && fs::is_symlink(folder_ / "near"));
    EXPECT_FALSE(fs::is_symlink(folder_ / "far/table.tsv"));
    EXPECT_EQ(read_all(folder_ / "far/table.tsv"), text);
  }
  fs::create_symlink("round", folder_ / "round");
  EXPECT_THAT(error_of([&] { AtomicFile file(folder_ / "round"); }), HasSubstr("round in circles"));
}

TEST_F(AtomicFileTest, TwoWritersDoNotShareATemporary) {
  AtomicFile first(path_), second(path_);
  first.stream() << "first";
  second.stream() << "second";
  second.commit();
  EXPECT_EQ(read_all(path_), "second");
  first.commit();
  EXPECT_EQ(read_all(path_), "first");
  EXPECT_EQ(folder_.entries(), 1);
}

TEST_F(AtomicFileTest, ATemporaryOfAKilledProcessWithThisNumberStays) {
  const std::string left = path_ + ".tmp." + std::to_string(::getpid());
  std::ofstream(left) << "not ours";
  {
    AtomicFile file(path_);
    file.stream() << "new";
    file.commit();
  }
  EXPECT_EQ(read_all(path_), "new");
  EXPECT_EQ(read_all(left), "not ours");
}

TEST_F(AtomicFileTest, TemporariesAreToldByTheirWholeName) {
  EXPECT_TRUE(is_temporary_of("summary.json.tmp.123", "summary.json"));
  for (const char* name :
       {"summary.json", "summary.json.tmp.", "summary.json.tmp.12a", "summary.json.tmp.1.txt",
        "notes.tmp.123", "my_summary.json.tmp.1", "summary.json.tmp.-1"}) {
    EXPECT_FALSE(is_temporary_of(name, "summary.json")) << name;
  }
}

TEST_F(AtomicFileTest, WhatWasWrittenCanBeOverwritten) {
  AtomicFile file(path_);
  file.stream() << "width __, " << std::string(100'000, 'a');
  file.overwrite(6, "64");
  file.stream() << "!";
  file.commit();
  EXPECT_EQ(read_all(path_), "width 64, " + std::string(100'000, 'a') + "!");
}

TEST_F(AtomicFileTest, SecondCommitIsAnError) {
  AtomicFile file(path_);
  file.commit();
  EXPECT_THAT(error_of([&] { file.commit(); }), HasSubstr("committed before"));
}

TEST_F(AtomicFileTest, RelativePathWithoutAFolderWorks) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  AtomicFile file("here.txt");
  file.stream() << "x";
  file.commit();
  fs::current_path(before);
  EXPECT_EQ(read_all(folder_ / "here.txt"), "x");
}

}  // namespace
}  // namespace sllmr
