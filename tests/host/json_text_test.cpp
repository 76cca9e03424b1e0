#include "host/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace sllmr {
namespace {

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(JsonText, ReadsOneValue) {
  EXPECT_EQ(parse_json(R"({"a": [1, "]}"]})")->at("a").at(1), "]}");
  EXPECT_EQ(*parse_json("\xEF\xBB\xBF[1]"), nlohmann::json::array({1}));
  for (const char* text : {"", "{", "[1] [2]", "nan", "{\"a\" 1}", "\"\xFF\""}) {
    EXPECT_FALSE(parse_json(text).has_value()) << text;
  }
}

TEST(JsonText, RefusesDeepNesting) {
  EXPECT_TRUE(parse_json(nested(kDeepestJson)).has_value());
  EXPECT_FALSE(parse_json(nested(kDeepestJson + 1)).has_value());
  EXPECT_FALSE(parse_json(nested(1 << 20)).has_value());
  EXPECT_FALSE(parse_json(std::string(1 << 20, '[')).has_value());  // its end is missing as well
  std::string objects;
  for (int k = 0; k < 100'000; ++k) objects += R"({"a":)";
  EXPECT_FALSE(parse_json(objects + "1" + std::string(100'000, '}')).has_value());
}

TEST(JsonText, BracketsInStringsAreNoNesting) {
  EXPECT_TRUE(parse_json('"' + std::string(1000, '[') + R"(\"[[")").has_value());
}

TEST(JsonText, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(json_text("a\xFF"), "\"a\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace sllmr
