#include "host/base/line_reader.h"

#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class LineReaderTest : public DataFiles {
 protected:
  static Tokens lines_of(const std::string& path) {
    LineReader reader(path);
    Tokens lines;
    for (std::string_view line; reader.next(line);) lines.emplace_back(line);
    return lines;
  }
};

TEST_F(LineReaderTest, ReadsLinesWithAndWithoutAFinalLineEnd) {
  EXPECT_THAT(lines_of(write("a", "one\ntwo\n")), ElementsAre("one", "two"));
  EXPECT_THAT(lines_of(write("b", "one\ntwo")), ElementsAre("one", "two"));
}

TEST_F(LineReaderTest, DropsCarriageReturnsAndTheByteOrderMark) {
  EXPECT_THAT(lines_of(write("a", "\xEF\xBB\xBFone\r\ntwo\r\n")), ElementsAre("one", "two"));
}

TEST_F(LineReaderTest, ReadsGzip) {
  EXPECT_THAT(lines_of(write_gzip("a.gz", "one\ntwo\n")), ElementsAre("one", "two"));
}

TEST_F(LineReaderTest, LinesLongerThanTheBufferArriveWhole) {
  const std::string large(3'000'000, 'x'), small(700'000, 'y');
  EXPECT_THAT(lines_of(write("a", small + "\n" + large + "\n" + small + "\nend\n")),
              ElementsAre(small, large, small, "end"));
}

TEST_F(LineReaderTest, EmptyLinesAreAllowedAtTheEndOnly) {
  EXPECT_THAT(lines_of(write("a", "one\n\n\n")), ElementsAre("one"));
  const std::string broken = write("b", "one\n\n\ntwo\n");
  EXPECT_EQ(error_of([&] { lines_of(broken); }), broken + ":2: the line is empty; delete it");
}

TEST_F(LineReaderTest, MissingFileIsNamedWithItsCause) {
  EXPECT_THAT(error_of([&] { LineReader reader(path("none")); }),
              StartsWith(path("none") + ": cannot be opened (No such file or directory); check the path"));
}

TEST_F(LineReaderTest, FolderIsNotReadAsAFile) {
  std::filesystem::create_directories(path("folder"));
  EXPECT_THAT(error_of([&] { lines_of(path("folder")); }), HasSubstr("Is a directory"));
}

TEST_F(LineReaderTest, TruncatedGzipIsAnErrorAtTheLineWhereItEnds) {
  std::string text;
  for (int k = 0; k < 20'000; ++k) text += std::to_string(k * 7919 % 20'011) + "\n";
  const std::string file = write_gzip("a.gz", text);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  std::int64_t whole_lines = 0;
  const std::string error = error_of([&] {
    LineReader reader(file);
    for (std::string_view line; reader.next(line);) whole_lines = reader.line_number();
  });
  EXPECT_GT(whole_lines, 1000);
  EXPECT_EQ(error, file + ":" + std::to_string(whole_lines + 1) +
                       ": the gzip stream ends early, the file is truncated; copy it again");
}

TEST_F(LineReaderTest, CorruptGzipIsAnError) {
  const std::string file = write_gzip("a.gz", std::string(100'000, 'x'));
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(30) << "garbage";
  EXPECT_THAT(error_of([&] { lines_of(file); }), HasSubstr("copy or unpack the file again"));
}

std::string bytes_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_F(LineReaderTest, GzipMembersAreReadOneAfterTheOther) {
  const std::string one = bytes_of(write_gzip("one.gz", "one\ntw")),
                    two = bytes_of(write_gzip("two.gz", "o\n"));
  EXPECT_THAT(lines_of(write("both.gz", one + two)), ElementsAre("one", "two"));
  EXPECT_THAT(lines_of(write("padded.gz", one + two + std::string(512, '\0'))), ElementsAre("one", "two"));
  const std::string cut = write("cut.gz", one + two.substr(0, two.size() - 3));
  EXPECT_EQ(error_of([&] { lines_of(cut); }),
            cut + ":3: the gzip stream ends early, the file is truncated; copy it again");
}

TEST_F(LineReaderTest, LargeGzipIsThePlainFile) {
  Tokens lines;
  std::string text;
  for (int k = 0; k < 400'000; ++k) {
    lines.push_back(std::to_string(k * 7919LL % 400'009) + (k % 1000 == 0 ? std::string(3000, 'x') : ""));
    text += lines.back() + "\n";
  }
  ASSERT_GT(text.size(), 3U << 20);
  const std::string file = write_gzip("large.gz", text), whole = bytes_of(file);
  EXPECT_EQ(lines_of(file), lines);
  std::string_view line;
  LineReader left(file);  // in the middle
  for (int k = 0; k < 1000; ++k) ASSERT_TRUE(left.next(line));
  LineReader moved(std::move(left));
  ASSERT_TRUE(moved.next(line));
  EXPECT_EQ(line, lines[1000]);
  EXPECT_THAT(error_of([&] { lines_of(write("more.gz", whole + "more")); }),
              HasSubstr(":400001: something else follows the gzip stream"));
  const std::string cut = write("cut.gz", whole.substr(0, whole.size() - 9));
  EXPECT_THAT(error_of([&] { lines_of(cut); }), HasSubstr(": the gzip stream ends early"));
}

TEST_F(LineReaderTest, WhatFollowsAGzipStreamIsAnError) {
  const std::string whole = bytes_of(write_gzip("a.gz", "one\n"));
  for (const std::string& garbage : {std::string("garbage"), std::string("\n"), std::string("\0\0x", 3)}) {
    const std::string file = write("b.gz", whole + garbage);
    EXPECT_THAT(error_of([&] { lines_of(file); }),
                HasSubstr(file + ":2: something else follows the gzip stream"));
  }
}

TEST_F(LineReaderTest, WhatIsNotUtf8TextIsAnError) {
  for (const std::string& mark : {std::string("\xFF\xFE"), std::string("\xFE\xFF")}) {
    const std::string file = write("a", mark + std::string("o\0n\0\n\0", 6));
    EXPECT_THAT(error_of([&] { lines_of(file); }), HasSubstr(file + ":1: the file is in UTF-16 or UTF-32"));
  }
  const std::string file = write("b", std::string("one\ntw\0o\n", 9));
  EXPECT_THAT(error_of([&] { lines_of(file); }), HasSubstr(file + ":2: the line holds a NUL byte"));
}

TEST_F(LineReaderTest, FirstLineOfAnEmptyFileIsAnError) {
  LineReader reader(write("a", ""));
  EXPECT_EQ(error_of([&] { reader.first(); }), path("a") + ":1: the file is empty; copy or create it again");
}

TEST_F(LineReaderTest, NumbersMustBeWholeFieldsAndFinite) {
  LineReader reader(write("a", "line\n"));
  reader.first();
  EXPECT_EQ(reader.number("-1.5e3", "time"), -1500);
  for (const char* field : {"", "x", "1x", " 1", "nan", "inf", "1e999"}) {
    EXPECT_EQ(error_of([&] { reader.number(field, "time"); }),
              path("a") + ":1: time is '" + field + "', not a finite number; correct or delete the line");
  }
}

TEST_F(LineReaderTest, TimesNameTheirColumn) {
  LineReader reader(write("a", "line\n"));
  reader.first();
  EXPECT_TRUE(reader.time("2", "time") == 2 * reader.time("1", "time"));
  EXPECT_THAT(error_of([&] { reader.time("nan", "time"); }),
              HasSubstr(":1: time is 'nan', not a finite number"));
}

TEST_F(LineReaderTest, TooFewFieldsInAnUnfinishedLastLineMeanTruncation) {
  LineReader reader(write("a", "1 2 3\n1 2"));
  std::vector<std::string_view> fields;
  reader.split_exactly(reader.first(), " ", 3, fields);
  EXPECT_THAT(fields, ElementsAre("1", "2", "3"));
  EXPECT_THAT(error_of([&] { reader.split_exactly("1 2", " ", 3, fields); }),
              HasSubstr(":1: 2 fields where 3 are expected; correct or delete the line"));
  std::string_view line;
  ASSERT_TRUE(reader.next(line));
  EXPECT_THAT(error_of([&] { reader.split_exactly(line, " ", 3, fields); }),
              HasSubstr(":2: 2 fields where 3 are expected; the file is truncated here: copy it again"));
}

TEST(SplitTest, KeepsEmptyFields) {
  std::vector<std::string_view> fields;
  split("a::::b", "::", fields);
  EXPECT_THAT(fields, ElementsAre("a", "", "b"));
  split("", "\t", fields);
  EXPECT_THAT(fields, ElementsAre(""));
}

}  // namespace
}  // namespace sllmr
