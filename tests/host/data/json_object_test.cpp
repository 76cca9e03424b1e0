#include "host/data/json_object.h"

#include <gmock/gmock.h>

#include "host/base/json_text.h"

namespace sllmr {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = JsonObject::Kind;

class JsonObjectTest : public testing::Test {
 protected:
  JsonObject object_;
  /// Of the value of "a".
  Kind kind(const std::string& line) {
    EXPECT_TRUE(object_.parse(line)) << line;
    return object_.kind(object_.column("a"));
  }
  std::string text(const std::string& value) {
    EXPECT_TRUE(object_.parse(R"({"a": )" + value + "}")) << value;
    return std::string(object_.text(object_.column("a")));
  }
};

TEST_F(JsonObjectTest, ValuesAreWhatTheyAre) {
  EXPECT_EQ(kind("{}"), Kind::none);
  EXPECT_EQ(kind(R"({"a": null})"), Kind::null);
  EXPECT_EQ(kind(R"({"a": "x"})"), Kind::text);
  EXPECT_EQ(kind(R"({"a": -1})"), Kind::integer);
  EXPECT_EQ(kind(R"({"a": 18446744073709551615})"), Kind::integer);
  EXPECT_EQ(kind(R"({"a": 1.0})"), Kind::real);
  EXPECT_EQ(kind(R"({"a": false})"), Kind::truth);
  EXPECT_EQ(kind(R"({"a": []})"), Kind::list);
  EXPECT_EQ(kind(R"({"a": {}})"), Kind::object);
}

TEST_F(JsonObjectTest, TextsAreAsTheRestOfTheProgramWritesThem) {
  EXPECT_EQ(text(R"("say \"hi\" \u00e9 \ud83d\ude00")"), "say \"hi\" \u00e9 \U0001F600");
  EXPECT_EQ(text("null"), "");
  for (const std::string value : {"true", "-7", "18446744073709551615", "1.0", "0.1", "-2.5e-7", "1e+22",
                                  "123456789012345678901234567890", R"(["x",1,{"y":[null]}])"}) {
    EXPECT_EQ(text(value), json_text(*parse_json(value)));
  }
}

TEST_F(JsonObjectTest, WordsAreThoseOfAllLists) {
  ASSERT_TRUE(object_.parse(R"({"a": ["x", ["y", [1, true, null, {"k": "z"}]]], "b": "w", "c": 2})"));
  EXPECT_THAT(object_.words(object_.column("a")), ElementsAre("x", "y", "1", "true"));
  EXPECT_THAT(object_.words(object_.column("b")), ElementsAre("w"));
  EXPECT_THAT(object_.words(object_.column("none")), IsEmpty());
}

TEST_F(JsonObjectTest, KeysMayChangePlacesAndComeAndGo) {
  const std::size_t a = object_.column("a");
  ASSERT_TRUE(object_.parse(R"({"b": "2", "a": "1"})"));
  const std::size_t b = object_.column("b");
  EXPECT_EQ(object_.text(a), "1");
  EXPECT_EQ(object_.text(b), "2");
  ASSERT_TRUE(object_.parse(R"({"a": "3", "c": "4", "b": "5"})"));
  EXPECT_EQ(object_.text(a), "3");
  EXPECT_EQ(object_.text(b), "5");
  ASSERT_TRUE(object_.parse(R"({"c": "6"})"));
  EXPECT_EQ(object_.kind(a), Kind::none);
  EXPECT_EQ(object_.text(b), "");
  EXPECT_THAT(object_.keys(), ElementsAre("c"));
}

TEST_F(JsonObjectTest, OfAKeyThatIsThereTwiceTheLastCounts) {
  ASSERT_TRUE(object_.parse(R"({"a": 1, "a": 2})"));
  EXPECT_EQ(object_.text(object_.column("a")), "2");
  EXPECT_THAT(object_.keys(), ElementsAre("a"));
}

TEST_F(JsonObjectTest, ReadsWhatPythonPrints) {
  ASSERT_TRUE(object_.parse(R"({'a': u'it\'s', 'b': None, 'c': [True, 'x']})"));
  EXPECT_EQ(object_.text(object_.column("a")), "it's");
  EXPECT_THAT(object_.words(object_.column("c")), ElementsAre("true", "x"));
}

/// What is no object to parse_json() is none here: errors do not depend on who reads.
TEST_F(JsonObjectTest, TakesWhatParseJsonTakes) {
  const auto nested = [](std::size_t deep) {
    return R"({"a": )" + std::string(deep - 1, '[') + "1" + std::string(deep - 1, ']') + "}";
  };
  const std::string lines[] = {"",
                               "x",
                               "[1]",
                               "1",
                               R"({"a": 1)",
                               R"({"a": 1} x)",
                               R"({"a": tru})",
                               R"({"a": 01})",
                               R"({"a": 1e999})",
                               R"({"a": NaN})",
                               "{\"a\": \"\xff\"}",
                               "{\"a\": \"\t\"}",
                               R"({"a": "\ud83d"})",
                               R"({"a": "cut)",
                               R"({"a": 1,})",
                               R"( {"a" : 1 } )",
                               nested(kDeepestJson),
                               nested(kDeepestJson + 1),
                               nested(100'000)};
  for (const std::string& line : lines) {
    const auto value = parse_json(line);
    EXPECT_EQ(object_.parse(line), value && value->is_object()) << line.substr(0, 99);
  }
}

}  // namespace
}  // namespace sllmr
