#include "host/base/toml_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/errors.h"

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<std::string> kKeys = {"title", "note", "set", "seeds", "reference", "row"};

TomlTable table_of(const std::string& text) {
  return TomlTable(text, "file", kKeys);
}

TEST(TomlTable, ReadsWhatIsThere) {
  const TomlTable table = table_of(
      "title = 'a'\nset = ['x', '']\nseeds = [1, -2]\nreference = [0.5, 1]\n[[row]]\nname = 'r'\n[[row]]\n"
      "name = ''\n");
  EXPECT_EQ(table.text("title"), "a");
  EXPECT_EQ(table.text_or("title", "b"), "a");
  EXPECT_EQ(table.text_or("note", "b"), "b");
  EXPECT_THAT(table.list<std::string>("set"), ElementsAre("x", ""));
  EXPECT_THAT(table.list<std::int64_t>("seeds"), ElementsAre(1, -2));
  EXPECT_THAT(table.list<double>("reference"), ElementsAre(0.5, 1.0));
  const std::vector<TomlTable> rows = table.tables("row", {"name"});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].text("name"), "r");
  EXPECT_EQ(rows[1].text("name"), "");
}

TEST(TomlTable, WhatIsNotThereIsEmpty) {
  const TomlTable table = table_of("");
  EXPECT_THAT(table.list<std::string>("set"), IsEmpty());
  EXPECT_TRUE(table.tables("row", {"name"}).empty());
  EXPECT_EQ(error_of([&] { table.text("title"); }), "file:1: the key 'title' is missing; add it");
}

TEST(TomlTable, NamesTheLineOfAnUnknownKeyAndOfAMissingOne) {
  EXPECT_EQ(error_of([] { table_of("\ntitel = 1\n"); }),
            "file:2: unknown key 'titel'; did you mean 'title'?");
  const TomlTable table = table_of("[[row]]\nname = 'r'\n\n[[row]]\nnote = 'n'\n");
  EXPECT_EQ(error_of([&] { table.tables("row", {"name"}); }),
            "file:5: unknown key 'note'; did you mean 'name'?");
  EXPECT_EQ(error_of([&] {
              table.tables("row", {"name", "note"})[1].text("name");
            }),
            "file:4: the key 'name' is missing; add it");
}

TEST(TomlTable, ConvertsNothing) {
  const TomlTable table =
      table_of("\ntitle = 1\nset = 'x'\nseeds = [1,\n 2.0]\nreference = [true]\nrow = 3\n");
  EXPECT_EQ(error_of([&] { table.text("title"); }), "file:2: 'title' is not a string");
  EXPECT_EQ(error_of([&] { table.text_or("title", ""); }), "file:2: 'title' is not a string");
  EXPECT_EQ(error_of([&] { table.list<std::string>("set"); }), "file:3: 'set' is not an array of strings");
  EXPECT_EQ(error_of([&] { table.list<std::int64_t>("seeds"); }),
            "file:5: 'seeds' is not an array of integers");
  EXPECT_EQ(error_of([&] { table.list<double>("reference"); }),
            "file:6: 'reference' is not an array of numbers");
  // Neither a number nor one [row] is taken for no rows.
  EXPECT_EQ(error_of([&] { table.tables("row", {}); }), "file:7: 'row' must be tables: [[row]]");
  EXPECT_EQ(error_of([] { table_of("[row]\nname = 'r'\n").tables("row", {"name"}); }),
            "file:1: 'row' must be tables: [[row]]");
}

}  // namespace
}  // namespace sllmr
