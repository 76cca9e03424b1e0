#include "host/ask/thought.h"

#include <gtest/gtest.h>

#include <random>

namespace sllmr {
namespace {

TEST(Thought, WhatIsBetweenMarkersIsLeftOut) {
  for (const char* text : {
           "<think>draft</think>answer",
           "<think>\n<think>draft</think>answer",  // the template's and the model's
           "<think>draft <think>draft</think> draft</think>answer",
           "<THINK >draft</ think>answer",
           "<thinking type=\"deep\">draft</thinking>answer",
           "<reasoning>draft <b>not</b></reasoning>answer",
           "&lt;think&gt;draft&lt;/think&gt;answer",
           "[THINK]draft[/THINK]answer",
           "<think>draft</thinking>answer",
           "<think>draft<reflection>draft</reflection>draft</reasoning>answer",
           "<thinking_process>draft</thinking_process>answer",
           "<reasoning_content>draft</reasoning_content>answer",
           "<ant_thinking>draft</ant_thinking>answer",
           "<|thinking|>draft<|/thinking|>answer",
           "<details type=\"reasoning\" done=\"true\">draft</details>answer",
           "<seed:think>draft</seed:think>answer",
           "\xE2\x97\x81think\xE2\x96\xB7"
           "draft\xE2\x97\x81/think\xE2\x96\xB7"
           "answer",
           "<|begin_of_thought|>draft<|end_of_thought|>answer",
           "<|START_THINKING|>draft<|END_THINKING|>answer",
           "<|channel>thought\ndraft<channel|>answer",
           "<|think|>draft<|end|>answer",
           "Here is my thought process: draft Here is my response:answer",
           "draft</think>answer",  // the template holds the opening tag
           "draft</think> draft</think>answer",
           "<think>draft</think>answer<think>draft",
           "<think>draft</think><reflection>draft</reflection>answer",
           "<|channel|>analysis<|message|>draft<|end|><|start|>assistant<|channel|>final<|message|>answer",
           "<|channel|>analysis<|message|>draft<|start|>assistant<|channel|>final<|message|>answer<|return|>",
           "analysis<|message|>draft<|end|><|start|>assistant<|channel|>final<|message|>answer",
           "<|channel|>final<|message|>draft<|end|><|channel|>final<|message|>answer",
           "<|channel|>final<|message|>answer<|end|><|start|>assistant<|channel|>analysis<|message|>draft",
           "analysisdraft. Draft.assistantfinalanswer",
           "analysis\ndraft\nassistant\nfinalanswer",
           "analysisdraftassistantcommentarydraftassistantfinalanswer",
       }) {
    EXPECT_EQ(without_thoughts(text), "answer") << text;
  }
  EXPECT_EQ(without_thoughts("one<think>draft</think>two"), "one\ntwo");
  EXPECT_EQ(without_thoughts("```thinking\n{\"A\": 1}\n```\n```json\n{}\n```"), "\n```json\n{}\n```");
}

TEST(Thought, WithoutAnEndNothingIsLeft) {
  for (const char* text : {
           "<think>draft",
           "<think>a</think><thinking>draft",
           "<think>a<think>b</think> draft",
           "<think>a<reflection>b</reflection> draft",
           "<|thinking|>draft",
           "<thinking_process>draft",
           "<reasoning_content>draft",
           "<ant_thinking>draft",
           "<details type=\"reasoning\">draft",
           "```thinking\ndraft",
           "```thought\ndraft",
           "```Reasoning \ndraft\n```json\ndraft",
           "[THINK]draft",
           "<think",
           "draft</think>",
           "<|channel|>analysis<|message|>draft",
           "<|channel|>commentary to=functions.x<|message|>draft<|end|>draft",
           "analysisWe need a draft",
           "analysis\ndraft",
           "\n\nanalysis{\"A\": 0.5}",
           "<|START_THINKING|>draft",
       }) {
    EXPECT_EQ(without_thoughts(text).find("draft"), std::string::npos) << text;
    EXPECT_EQ(without_thoughts(text).find('{'), std::string::npos) << text;
  }
}

TEST(Thought, WordsAndStringsAreNoMarkers) {
  for (const char* text : {
           "I think that A: 0.5",
           "Analysis: the customer likes soap. A: 0.5",
           "analysis: A: 0.5",
           "[think about it] A: 0.5",
           "<think/>A: 0.5",
           "<thinker> A: 0.5",
           "a <thinking man> A: 0.5",
           "A: 0.5 <details>B: 0.5</details>",
           "A: 0.5\n</details>",
           "```json\nA: 0.5\n```",
           "A: 0.5 ```thinking\n",
           R"({"A": 0.5, "why": "the <think> book"})",
           R"({"why": "</think> and <|channel|>analysis", "A": 0.5})",
           R"([{"item": "[THINK]", "score": 0.5}])",
       }) {
    EXPECT_EQ(without_thoughts(text), text);
  }
}

TEST(Thought, RandomMarkersNeitherCrashNorTakeLong) {
  const char* pieces[] = {"<think>",
                          "</think>",
                          "[THINK]",
                          "<|channel|>",
                          "final",
                          "<|message|>",
                          "analysis",
                          "{\"",
                          "\"}",
                          "<|end|>",
                          "[",
                          "]",
                          "assistant",
                          "&lt;think",
                          "\\",
                          "\xE2\x97\x81think\xE2\x96\xB7",
                          "<thinking a=\"",
                          "x "};
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (auto k = random() % 24; k > 0; --k) text += pieces[random() % std::size(pieces)];
    std::size_t last = 0;
    for (const auto& [begin, end] : answer_parts(text)) {
      EXPECT_LE(last, begin) << text;
      EXPECT_LE(begin, end) << text;
      last = end;
    }
    EXPECT_LE(last, text.size()) << text;
  }
  for (const char* piece : pieces) {
    std::string text;
    while (text.size() < 200'000) text += piece;
    without_thoughts(text + "</reflection>");
  }
}

}  // namespace
}  // namespace sllmr
