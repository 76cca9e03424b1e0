#include "host/base/json_text.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

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
  EXPECT_TRUE(parse_json(fmt::format(R"("{}\"[[")", std::string(1000, '['))).has_value());
}

TEST(JsonText, ValuesAreCountedBeforeTheyAreRead) {
  // The most that each counts as: one, one a comma and one an opening bracket.
  const std::vector<std::pair<std::string, std::size_t>> texts = {{"1", 1},
                                                                  {"[1, 2, 3]", 4},
                                                                  {R"({"a": {"b": 1}, "c": [2]})", 5},
                                                                  {"[{}, {}]", 5},
                                                                  {R"({"a,b[{": ",,\",[{,"})", 2}};
  for (const auto& [text, count] : texts) {
    EXPECT_TRUE(parse_json(text, count).has_value()) << text;
    EXPECT_FALSE(parse_json(text, count - 1).has_value()) << text;
    EXPECT_EQ(parse_json(text, count), nlohmann::json::parse(text)) << text;
  }
  // Whatever the text is, no more values than the limit come back.
  const auto values_in = [](const auto& self, const nlohmann::json& value) -> std::size_t {
    std::size_t count = 1;
    if (value.is_structured()) {
      for (const nlohmann::json& element : value) count += self(self, element);
    }
    return count;
  };
  std::minstd_rand random(1);
  for (int k = 0; k < 200; ++k) {
    nlohmann::json value = random() % 10;
    for (int step = 0; step < 20; ++step) {
      const bool array = random() % 2 == 0;
      nlohmann::json outer = array ? nlohmann::json::array() : nlohmann::json::object();
      for (std::size_t n = random() % 4; n > 0; --n) {
        if (array) outer.push_back("x,[");
        if (!array) outer[std::to_string(n)] = nlohmann::json::object();
      }
      if (array) {
        outer.push_back(std::move(value));
      } else {
        outer["value"] = std::move(value);
      }
      value = std::move(outer);
    }
    EXPECT_FALSE(parse_json(value.dump(), values_in(values_in, value) - 1).has_value()) << value;
    EXPECT_EQ(parse_json(value.dump(), 3 * values_in(values_in, value)), value);
  }
}

TEST(JsonText, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(json_text("a\xFF"), "\"a\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace sllmr
