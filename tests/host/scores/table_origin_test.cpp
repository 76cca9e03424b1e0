#include "host/scores/table_origin.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/host/support.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

TEST(TableOrigin, IsOfTheTableThatItWasWrittenFor) {
  const TemporaryFolder folder;
  const std::string path = folder / "scores.tsv",
                    table = "user_id\titem_id\tscore\n" + std::string(200'000, 'x');
  std::ofstream(path) << table;
  write_origin(path, {"openai", "m", "scores", "toy", 77, 1000, {{"summary", 1}}});
  const auto origin = read_origin(path);
  ASSERT_TRUE(origin);
  EXPECT_TRUE(is_origin_of(*origin, path));
  for (const std::string& other :
       {std::string("y") + table.substr(1), table.substr(0, table.size() - 1) + "y", table + "x",
        table.substr(1), std::string()}) {
    std::ofstream(path) << other;
    EXPECT_FALSE(is_origin_of(*origin, path)) << other.size();
  }
  std::ofstream(path) << table;
  EXPECT_TRUE(is_origin_of(*origin, path));
  std::filesystem::remove(path);
  EXPECT_THAT(error_of([&] { is_origin_of(*origin, path); }), HasSubstr(path));
}

TEST(TableOrigin, NotesOfOlderVersionsKnowNoTable) {
  const TemporaryFolder folder;
  const std::string path = folder / "scores.tsv";
  std::ofstream(path) << "any";
  const auto write = [&](const std::string& more) {
    std::ofstream(path + ".json")
        << R"({"scorer":"s","model":"m","prompt":"p","data":{"name":"d","hash":"0f"},"created":1,"run":1)" +
               more + "}";
  };
  write("");
  EXPECT_TRUE(is_origin_of(*read_origin(path), path));
  // 64-bit FNV-1a of "any", by hand from its definition.
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : std::string("any")) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  const auto noted = [&](std::uint64_t value) {
    std::ostringstream text;
    text << std::hex << value;
    write(R"(,"table_hash":")" + text.str() + "\"");
    return is_origin_of(*read_origin(path), path);
  };
  EXPECT_TRUE(noted(hash));
  EXPECT_FALSE(noted(hash ^ 1));
  for (const char* bad : {R"(,"table_hash":"xyz")", R"(,"table_hash":1)", R"(,"table_hash":"")"}) {
    write(bad);
    EXPECT_THAT(error_of([&] { read_origin(path); }), HasSubstr("does not say where")) << bad;
  }
}

}  // namespace
}  // namespace sllmr
