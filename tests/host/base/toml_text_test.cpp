#include "host/base/toml_text.h"

#include <gmock/gmock.h>

#include <string>

#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string repeated(const std::string& text, std::size_t count) {
  std::string all;
  for (std::size_t k = 0; k < count; ++k) all += text;
  return all;
}

TEST(TomlText, ReadsTablesStringsAndComments) {
  const toml::table table = parse_toml(
      "# a.b.c [[[[\n[x.y]\n\"quoted.key\" = '[[[' # {{{\ntext = \"\"\"\n[[[ \\\"\"\" {{{\n\"\"\"\n"
      "numbers = [1.5, 2.5, 3.5]\n",
      "file");
  EXPECT_EQ(table["x"]["y"]["quoted.key"].value<std::string>(), "[[[");
  EXPECT_EQ(table["x"]["y"]["text"].value<std::string>(), "[[[ \"\"\" {{{\n");
  EXPECT_EQ(table["x"]["y"]["numbers"].as_array()->size(), 3U);
}

TEST(TomlText, BracketsAndDotsInStringsAndLongListsAreNoNesting) {
  EXPECT_NO_THROW(parse_toml("a = '" + std::string(1000, '[') + std::string(1000, '.') + "'", "file"));
  EXPECT_NO_THROW(parse_toml("a = [" + repeated("1.5, ", 1000) + "]", "file"));
  EXPECT_NO_THROW(parse_toml(repeated("# a.b [\n", 100) + repeated("[[t.u]]\nx = {y = 1.5}\n", 100), "file"));
}

TEST(TomlText, RefusesDeepNestingNamingTheLine) {
  EXPECT_NO_THROW(parse_toml("a" + repeated(".a", kDeepestToml - 1) + " = 1", "file"));
  EXPECT_NO_THROW(parse_toml("a = " + repeated("[", kDeepestToml) + repeated("]", kDeepestToml), "file"));
  const std::size_t deep = 100'000;
  for (const std::string& text :
       {"a" + repeated(".a", kDeepestToml) + " = 1", "a" + repeated(".a", deep) + " = 1",
        "[a" + repeated(" . \"a\"", deep) + "]", "[[a" + repeated(".a", deep) + "]]",
        "x = {a" + repeated(".a", deep) + " = 1}", "a = " + repeated("[", deep) + repeated("]", deep),
        "a = " + repeated("{a=", deep) + "1" + repeated("}", deep), "a = " + repeated("[\n", deep)}) {
    EXPECT_THAT(error_of([&] { parse_toml("x1 = \"\"\"\n\"\"\"\n" + text, "file"); }),
                AllOf(StartsWith("file:"), HasSubstr("nested")));
  }
  EXPECT_THAT(error_of([&] { parse_toml("y = 1\n\na" + repeated(".a", deep) + " = 1", "file"); }),
              StartsWith("file:3: "));
}

TEST(TomlText, NamesTheLineOfAMistake) {
  EXPECT_THAT(error_of([] { parse_toml("a = 1\nb = = 2\n", "file"); }), StartsWith("file:2: not TOML: "));
  EXPECT_THAT(error_of([] { parse_toml(std::string_view("\0\x01", 2), "file"); }), StartsWith("file:1: "));
}

}  // namespace
}  // namespace sllmr
