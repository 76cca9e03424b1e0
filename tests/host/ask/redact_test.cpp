#include "host/ask/redact.h"

#include <gmock/gmock.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

namespace sllmr {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kKey = "sk-Ab/9+secret&Q<7>\"z\\w%z";

std::string escaped(const std::string& text, const char* prefix, const char* suffix, const char* digits) {
  std::string out;
  for (const char c : text) {
    out += prefix;
    out += {digits[static_cast<unsigned char>(c) >> 4U], digits[c & 0xF]};
    out += suffix;
  }
  return out;
}

TEST(Redact, EverySpellingOfTheKey) {
  constexpr const char *kLower = "0123456789abcdef", *kUpper = "0123456789ABCDEF";
  const std::string key = kKey;
  const std::string json = nlohmann::json(key).dump();
  const std::string url = escaped(key, "%", "", kUpper);
  const Redactor redactor(key);
  for (const std::string& spelling :
       {key, json.substr(1, json.size() - 2), escaped(key, "\\u00", "", kLower),
        escaped(key, "\\x", "", kUpper), url, escaped(url, "%", "", kUpper), escaped(key, "%25", "", kLower),
        escaped(key, "&#x", ";", kLower), escaped(key, "", "", kLower), escaped(key, "", "", kUpper),
        std::string("sk-Ab\\/9+secret&amp;Q&lt;7&gt;&quot;z\\\\w%25z"),
        std::string("SK-AB/9+SECRET&Q<7>\"Z\\W%Z")}) {
    EXPECT_EQ(redactor.text("before " + spelling + " after"), "before [key] after") << spelling;
    EXPECT_EQ(redactor.text(spelling + " " + spelling), "[key] [key]") << spelling;
  }
}

TEST(Redact, Base64AtEveryAlignment) {
  // Of "Bearer KEY", "aBearer KEY" and "abBearer KEY", and of a key alone.
  const Redactor redactor("sk-test-0123456789abcdef");
  for (const char* text :
       {"QmVhcmVyIHNrLXRlc3QtMDEyMzQ1Njc4OWFiY2RlZg==", "YUJlYXJlciBzay10ZXN0LTAxMjM0NTY3ODlhYmNkZWY=",
        "YWJCZWFyZXIgc2stdGVzdC0wMTIzNDU2Nzg5YWJjZGVm", "c2stdGVzdC0wMTIzNDU2Nzg5YWJjZGVm"}) {
    const std::string redacted = redactor.text(text);
    EXPECT_THAT(redacted, HasSubstr("[key]")) << text;
    EXPECT_LT(redacted.size(), 26U) << redacted;  // "Bearer " and what shares a digit with it remain
  }
}

TEST(Redact, PiecesOfTheKey) {
  const std::string key = "sk-test-0123456789abcdef";
  const Redactor redactor(key);
  for (std::size_t begin = 0; begin < key.size(); ++begin) {
    for (std::size_t size = 1; begin + size <= key.size(); ++size) {
      const std::string piece = key.substr(begin, size);
      EXPECT_EQ(redactor.text("(" + piece + ")"), size < 8 ? "(" + piece + ")" : "([key])") << piece;
    }
  }
  EXPECT_EQ(redactor.text("Incorrect API key provided: sk-test-****cdef."),
            "Incorrect API key provided: [key]****cdef.");
  EXPECT_EQ(redactor.text("sk-test-0123sk-test-01234"), "[key]");
}

TEST(Redact, OtherTextStays) {
  const Redactor redactor("sk-test-0123456789abcdef");
  for (const char* text : {"", "a", "{\"A\": 0.12, \"B\": 0.9}", "sk-tes", "100 % \\ &amp; &#x; %zz \\u12"}) {
    EXPECT_EQ(redactor.text(text), text);
    EXPECT_EQ(redactor.body(text), text);
  }
}

TEST(Redact, KeysThatCollideWithTheReplacementOrRepeatThemselves) {
  for (const std::string key : {"[key]", "[key][key]", "[key]abcd", "key]abc[", "aaaaaaaaaaaa", "--------"}) {
    const Redactor redactor(key);
    std::string text;
    for (int k = 0; k < 100; ++k) text += key + "abcd" + key.substr(1);
    const std::string redacted = redactor.text(text);
    if (key.size() < kShortestRedactedKey) {
      EXPECT_EQ(redacted, text);
    } else {
      EXPECT_THAT(redacted, Not(HasSubstr(key))) << key;
    }
  }
}

TEST(Redact, ShortKeysAreLeftAlone) {
  for (const char* key : {"", "x", "none", "1234567"}) {
    EXPECT_EQ(Redactor(key).text("x none 1234567"), "x none 1234567");
  }
}

TEST(Redact, ABodyKeepsItsNamesAndItsBytes) {
  const Redactor redactor("completion");
  const std::string clean = "{\"usage\" : {\"x\": 1.50}, \"id\":\"\\u0041\"}\n";
  EXPECT_EQ(redactor.body(clean), clean);
  EXPECT_EQ(redactor.body(R"({"completion_tokens": 5, "choices": [{"text": "my completion \n"}]})"),
            R"({"choices":[{"text":"my [key] \n"}],"completion_tokens":5})");
  EXPECT_EQ(redactor.text(R"({"completion_tokens": 5})"), R"({"[key]_tokens": 5})");
  EXPECT_EQ(redactor.body("no JSON: completion"), "no JSON: [key]");
  EXPECT_EQ(Redactor("123456789").body(R"({"id": 123456789, "x": 12})"), R"({"id":"[key]","x":12})");
  EXPECT_EQ(redactor.body(R"(["com\u0070letion"])"), R"(["[key]"])");
}

TEST(Redact, AcrossBlocksAndInLinearTime) {
  const std::string key = "sk-test-0123456789abcdef", spelled = escaped(key, "\\u00", "", "0123456789abcdef");
  const Redactor redactor(key);
  for (const std::size_t before : {(1U << 18) - 100, (1U << 18) - 3, 1U << 18, (1U << 19) - 70}) {
    EXPECT_EQ(redactor.text(std::string(before, '.') + spelled + "!"), std::string(before, '.') + "[key]!");
  }
  std::string hostile;
  while (hostile.size() < std::size_t{8} << 20) hostile += "sk-test-\\\\\\%25";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(redactor.text(std::move(hostile)), Not(HasSubstr("sk-test-")));
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 10);
}

}  // namespace
}  // namespace sllmr
