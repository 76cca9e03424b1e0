#include "host/ask/answer.h"

#include <gmock/gmock.h>

#include <cmath>

#include "host/ask/prompt.h"

namespace sllmr {
namespace {

using testing::ElementsAre;

constexpr float kNone = -1.0F;  // stands for NaN below

std::vector<float> scores(const ReadAnswer& answer) {
  std::vector<float> result;
  for (const float score : answer.scores) result.push_back(std::isnan(score) ? kNone : score);
  return result;
}

std::vector<float> read(const std::string& text, std::size_t candidates = 3) {
  return scores(read_scores_text(text, candidates));
}

TEST(Answer, JsonInItsManyForms) {
  for (
      const char* text : {
          R"({"A": 0.1, "B": 0.5, "C": 0.9})",
          R"({"scores": {"A": 0.1, "B": 0.5, "C": 0.9}})",
          R"([{"item": "A", "score": 0.1}, {"item": "B", "score": 0.5}, {"id": "C", "rating": 0.9}])",
          R"({"all": [{"score": 0.1, "label": "A"}, {"label": "B", "score": 0.5}, {"label": "C", "score": 0.9}]})",
          R"([["A", 0.1], ["B", 0.5], ["C", 0.9]])",
          R"({"A": {"score": 0.1, "why": "x"}, "B": {"score": 0.5}, "C": {"score": 0.9}})",
          R"([0.1, 0.5, 0.9])",
          R"({"scores": [0.1, 0.5, 0.9]})",
          R"json({"a": 0.1, "(B)": 0.5, "Item C": 0.9})json",
          R"({"A.": 0.1, "candidate_b": 0.5, " C ": 0.9, "reason": "because"})",
      }) {
    const ReadAnswer answer = read_scores_text(text, 3);
    EXPECT_THAT(scores(answer), ElementsAre(0.1F, 0.5F, 0.9F)) << text;
    EXPECT_EQ(answer.faults.missing + answer.faults.unknown + answer.faults.repeated, 0) << text;
  }
}

TEST(Answer, JsonInProseAndThought) {
  const auto expected = ElementsAre(0.1F, 0.5F, 0.9F);
  EXPECT_THAT(
      read("Sure! Here it is:\n```json\n{\"A\": 0.1, \"B\": 0.5, \"C\": 0.9}\n```\nHope {this} helps."),
      expected);
  EXPECT_THAT(read(R"(For example {"A": 0.7}. My answer: {"A": 0.1, "B": 0.5, "C": 0.9})"), expected);
  EXPECT_THAT(read(R"(<think>maybe {"A": 1, "B": 1, "C": 1}</think>{"A": 0.1, "B": 0.5, "C": 0.9})"),
              expected);
  EXPECT_THAT(read("A: 0.1\nB: 0.5\nC: 0.9"), expected);
  EXPECT_THAT(read("**A** - 0.1, (B) = 0.5; C. 0.9"), expected);
  EXPECT_THAT(read("{'A': 0.1, 'B': 0.5, 'C': 0.9,}"), expected) << "Python, not JSON";
  EXPECT_THAT(read("{A: .1, B: .5, C: .9}"), expected);
}

TEST(Answer, WhatIsCutOffIsReadAsFarAsItGoes) {
  EXPECT_THAT(read(R"({"A": 0.1, "B": 0.5, "C)"), ElementsAre(0.1F, 0.5F, kNone));
  const ReadAnswer answer = read_scores_text(R"([{"item": "A", "score": 0.1}, {"item": "B", "sc)", 3);
  EXPECT_THAT(scores(answer), ElementsAre(0.1F, kNone, kNone));
  EXPECT_EQ(answer.faults.missing, 2);
  EXPECT_EQ(answer.read(), 1);
}

TEST(Answer, NumbersInOtherClothesAreConvertedAndCounted) {
  ReadAnswer answer = read_scores_text(R"({"A": "0.1", "B": "50%", "C": "9/10"})", 3);
  EXPECT_THAT(scores(answer), ElementsAre(0.1F, 0.5F, 0.9F));
  EXPECT_EQ(answer.faults.converted, 3);
  EXPECT_THAT(read("A: 10%\nB: 50 %\nC: 90%"), ElementsAre(0.1F, 0.5F, 0.9F));
  answer = read_scores_text(R"({"A": 1, "B": 5, "C": 9})", 3);
  EXPECT_THAT(scores(answer), ElementsAre(0.1F, 0.5F, 0.9F)) << "a scale of 10";
  EXPECT_EQ(answer.faults.converted, 3);
  EXPECT_THAT(read(R"({"A": 10, "B": 50, "C": 90})"), ElementsAre(0.1F, 0.5F, 0.9F)) << "a scale of 100";
  EXPECT_THAT(read(R"({"A": 0, "B": 1, "C": 1.0})"), ElementsAre(0.0F, 1.0F, 1.0F)) << "no other scale";
}

TEST(Answer, WhatIsNoScoreIsCountedByItsFault) {
  ReadAnswer answer = read_scores_text(R"({"A": -0.3, "B": null, "C": "high"})", 3);
  EXPECT_THAT(scores(answer), ElementsAre(kNone, kNone, kNone));
  EXPECT_EQ(answer.faults.out_of_range, 1);
  EXPECT_EQ(answer.faults.not_a_number, 2);
  answer = read_scores_text("{\"A\": NaN, \"B\": 0.5, \"C\": Infinity}", 3);
  EXPECT_THAT(scores(answer), ElementsAre(kNone, 0.5F, kNone));
  EXPECT_EQ(answer.faults.not_a_number, 1);
  EXPECT_EQ(answer.faults.missing, 1);
  answer = read_scores_text(R"({"A": 0.2, "A": 0.9, "Z": 0.5, "B": 1e300, "C": 5000})", 3);
  EXPECT_EQ(answer.scores[0], 0.9F) << "the last counts";
  EXPECT_EQ(answer.faults.repeated, 1);
  EXPECT_EQ(answer.faults.contradicted, 1);
  EXPECT_EQ(answer.faults.unknown, 1);
  EXPECT_EQ(answer.faults.out_of_range, 2);
  EXPECT_TRUE(std::isnan(answer.scores[2]));
}

TEST(Answer, NothingReadableIsNothing) {
  for (const char* text : {"", "I cannot answer that.", "A 5 star product, a must have.", "{", "[[[[", "}{",
                           "{\"error\": \"overloaded\"}", "\xFF\xFE\x00", "[0.1, 0.2]", "null", "0.7"}) {
    const ReadAnswer answer = read_scores_text(text, 3);
    EXPECT_EQ(answer.read(), 0) << text;
    EXPECT_EQ(answer.faults.missing, 3) << text;
  }
}

TEST(Answer, OfSeveralAnswersTheLastWholeOneCounts) {
  const auto expected = ElementsAre(0.1F, 0.5F, 0.9F);
  const std::string draft = R"({"A": 0.4, "B": 0.5, "C": 0.6})", good = R"({"A": 0.1, "B": 0.5, "C": 0.9})";
  for (const std::string& text : std::vector<std::string>{
           "First guess: " + draft + "\nAfter looking again, my final answer:\n" + good,
           draft + good + "\n\nNote: {\"A\": 1} would be too much.",
           draft + "\n" + good + "\nNote: A: 1 would be too much, B: 2 as well.",
           draft + " My final answer: {'A': 0.1, 'B': 0.5, 'C': 0.9}",
           draft + "\nFinal:\nA: 0.1\nB: 0.5\nC: 0.9",
           "A: 0.4\nB: 0.5\nC: 0.6\nFinal:\nA: 0.1\nB: 0.5\nC: 0.9\n",
           "A: 0.4, B: 0.5, C: 0.6. No. A: 0.1, B: 0.5, C: 0.9. A: 1 is too much",
           "A: 0.4\nB: 0.5\nC: 0.6\nFinal: " + good,
           R"({"draft": )" + draft + R"(, "scores": )" + good + "}",
           R"({"scores": )" + good + R"(, "draft": )" + draft + "}",
           "[" + draft + ", " + good + "]",
           "[[\"A\", 0.4], [\"B\", 0.5], [\"C\", 0.6]] or [0.1, 0.5, 0.9]",
       }) {
    const ReadAnswer answer = read_scores_text(text, 3);
    EXPECT_THAT(scores(answer), expected) << text;
    const bool named_so = text.find("draft") != text.npos;
    EXPECT_EQ(answer.faults.contradicted, named_so ? 0 : 2) << text;
    EXPECT_EQ(answer.faults.repeated, 0) << text;
  }
  EXPECT_EQ(read_scores_text(good + good, 3).faults.contradicted, 0);
  EXPECT_THAT(read(R"({"item": "A", "score": 0.1})"
                   "\n"
                   R"({"item": "B", "score": 0.5})"
                   "\n"
                   R"({"item": "C", "score": 0.9})"),
              expected)
      << "JSON lines";
  EXPECT_THAT(read(R"({"likely": {"C": 0.9}, "unlikely": {"A": 0.1, "B": 0.5}})"), expected);
  EXPECT_THAT(read(R"({"scores": {"A": 0.1, "B": 0.5, "C": 0.9}, "ranks": [3, 2, 1]})"), expected);
  EXPECT_THAT(read(R"({"ranks": {"A": 3, "B": 2, "C": 1}, "scores": {"A": 0.1, "B": 0.5, "C": 0.9}})"),
              expected);
  EXPECT_THAT(
      read(R"([{"item": "A", "score": 0.1, "confidence": 1}, {"item": "B", "confidence": 1, "score": 0.5},
                       {"item": "C", "score": 0.9}])"),
      expected);
  EXPECT_THAT(read("{\"A\": 0.1, \"B\": 0.5, \"C\": 0.9}\nA: 5 star product\nB: 3 colours\nC: 1 of many"),
              expected)
      << "remarks";
}

TEST(Answer, GroupsWithoutACommonLabelAreOneAnswer) {
  const auto expected = ElementsAre(0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F, 0.7F, 0.8F);
  for (const char* text : {
           "Likely:\n{\"E\": 0.5, \"F\": 0.6, \"G\": 0.7, \"H\": 0.8}\n"
           "Unlikely:\n{\"A\": 0.1, \"B\": 0.2, \"C\": 0.3, \"D\": 0.4}",
           "Likely:\n{\"D\": 0.4, \"E\": 0.5, \"F\": 0.6, \"G\": 0.7, \"H\": 0.8}\n"
           "Unlikely:\n{\"A\": 0.1, \"B\": 0.2, \"C\": 0.3}",
           "Likely:\n{\"F\": 0.6, \"G\": 0.7, \"H\": 0.8}\nMaybe:\n{\"C\": 0.3, \"D\": 0.4, \"E\": 0.5}\n"
           "Unlikely:\n{\"A\": 0.1, \"B\": 0.2}",
           "Likely:\nD: 0.4\nE: 0.5\nF: 0.6\nG: 0.7\nH: 0.8\nUnlikely:\nA: 0.1\nB: 0.2\nC: 0.3",
       }) {
    const ReadAnswer answer = read_scores_text(text, 8);
    EXPECT_THAT(scores(answer), expected) << text;
    EXPECT_EQ(answer.faults.missing + answer.faults.contradicted, 0) << text;
  }
  const std::string draft = "Likely: {\"C\": 0.6} Unlikely: {\"A\": 0.4, \"B\": 0.5} ";
  const ReadAnswer again =
      read_scores_text(draft + "Final, likely: {\"C\": 0.9} Unlikely: {\"A\": 0.1, \"B\": 0.5}", 3);
  EXPECT_THAT(scores(again), ElementsAre(0.1F, 0.5F, 0.9F)) << "a label of the draft begins another answer";
  EXPECT_EQ(again.faults.contradicted, 2);
  EXPECT_THAT(read("Likely: {\"C\": 0.9} Unlikely: {\"A\": 0.1, \"B\": 0"), ElementsAre(0.1F, kNone, 0.9F));
}

TEST(Answer, OneObjectMayContradictItself) {
  const std::string draft = R"({"A": 0.4, "B": 0.5, "C": 0.6})", good = R"({"A": 0.1, "B": 0.5, "C": 0.9})";
  const auto expected = ElementsAre(0.1F, 0.5F, 0.9F);
  for (const std::string key :
       {"previous_scores", "before", "old", "scores_old", "first_pass", "raw", "Unadjusted"}) {
    for (const std::string& text : {R"({"scores": )" + good + ", \"" + key + "\": " + draft + "}",
                                    "{\"" + key + "\": " + draft + R"(, "scores": )" + good + "}"}) {
      const ReadAnswer answer = read_scores_text(text, 3);
      EXPECT_THAT(scores(answer), expected) << text;
      EXPECT_EQ(answer.faults.contradicted, 0) << text;
    }
  }
  EXPECT_THAT(read(R"({"before": )" + draft + R"(, "above_threshold": )" + good + "}"), expected);
  const ReadAnswer twice =
      read_scores_text(R"({"A": 0.4, "B": 0.5, "C": 0.6, "A": 0.1, "B": 0.5, "C": 0.9})", 3);
  EXPECT_THAT(scores(twice), expected);
  EXPECT_EQ(twice.faults.repeated, 3);
  EXPECT_EQ(twice.faults.contradicted, 2) << "B says the same again";
}

TEST(Answer, ARemarkOnMostCandidatesIsNotTheAnswer) {
  const std::string good = R"({"A": 0.1, "B": 0.5, "C": 0.9})";
  for (const std::string& text :
       {good + "\nWithout the bonus: {\"A\": 0.1, \"B\": 0.4}",
        "First: {\"A\": 0.1, \"B\": 0.4}\nThen: " + good, good + "\nWithout the bonus:\nA: 0.1\nB: 0.4\n"}) {
    const ReadAnswer answer = read_scores_text(text, 3);
    EXPECT_THAT(scores(answer), ElementsAre(0.1F, 0.5F, 0.9F)) << text;
    EXPECT_EQ(answer.faults.contradicted, 1) << text;
  }
}

TEST(Answer, AnAnswerThatIsCutOffAfterADraftIsNotTheDraft) {
  const std::string draft = R"({"A": 0.4, "B": 0.5, "C": 0.6})";
  EXPECT_EQ(read_scores_text(draft + R"( Final: {"A": 0.1, "B")", 3).read(), 1);
  EXPECT_THAT(read(draft + R"( Final: {"A": 0.1, "B": 0.5, "C": 0)"), ElementsAre(0.1F, 0.5F, kNone));
  EXPECT_THAT(read(draft + R"( Again: {"A": 0.4, "B")"), ElementsAre(0.4F, 0.5F, 0.6F)) << "no contradiction";
  EXPECT_THAT(read(R"({"draft": )" + draft + R"(, "scores": {"A")"), ElementsAre(kNone, kNone, kNone));
  EXPECT_THAT(scores(read_scores_text("A: 0.4\nB: 0.5\nC: 0.6\nFinal:\nA: 0.1\nB: 0", 3, true)),
              ElementsAre(0.1F, kNone, kNone));
}

TEST(Answer, ANumberThatTheEndCutsIsNone) {
  EXPECT_THAT(read(R"({"A": 0.1, "B": 0)", 2), ElementsAre(0.1F, kNone));
  EXPECT_THAT(read(R"({"A": 0.1, "B": 0.8)", 2), ElementsAre(0.1F, kNone));
  EXPECT_THAT(read(R"({"A": 0.1, "B": 0.8 )", 2), ElementsAre(0.1F, 0.8F));
  EXPECT_THAT(read(R"({"A": 0,1, "B": 0,)", 2), ElementsAre(0.1F, kNone)) << "of 0,85";
  EXPECT_THAT(scores(read_scores_text("A: 0.1\nB: 0", 2, true)), ElementsAre(0.1F, kNone));
  EXPECT_THAT(read("A: 0.1\nB: 0", 2), ElementsAre(0.1F, 0.0F)) << "the server says nothing of a cut";
  EXPECT_THAT(read(R"({"A": 0.9, "B": 8/10})", 2), ElementsAre(0.9F, 0.8F)) << "no JSON";
  EXPECT_THAT(read(R"({"A": 90%, "B": 8%})", 2), ElementsAre(0.9F, 0.08F)) << "no JSON";
}

TEST(Answer, DecimalCommasAreReadOrCountedAndNeverCut) {
  const auto expected = ElementsAre(0.1F, 0.5F, 0.85F);
  for (const char* text : {
           R"({"A": 0,1, "B": 0,5, "C": 0,85})",
           R"({"A":0,1,"B":0,5,"C":0,85})",
           R"({"A": "0,1", "B": "0,5", "C": "0,85"})",
           R"({"A": "10,0%", "B": "5,0/10", "C": 0.85})",
           R"([{"item": "A", "score": 0,1}, {"item": "B", "score": 0,5}, {"item": "C", "score": 0,85}])",
           R"([["A", 0,1], ["B", 0,5], ["C", 0,85]])",
           "[0,1, 0,5, 0,85]",
           "{'A': 0,1, 'B': 0,5, 'C': 0,85}",
           "A: 0,1\nB: 0,5\nC: 0,85",
           "A: 0,1, B: 0,5, C: 0,85.",
           "A: 10,0%; B: 5,0/10; C: 0,850",
           "| A | 0,1 |\n| B | 0,5 |\n| C | 0,85 |",
       }) {
    EXPECT_THAT(read(text), expected) << text;
  }
  for (const char* text : {R"({"A": 1,000, "B": 0.5})", R"({"A": "1,000", "B": 0.5})", "A: 1,000\nB: 0.5",
                           "A: 0,1,2\nB: 0.5", "A: 0.5-0.7\nB: 0.5", "A: 5-star\nB: 0.5", "A: 3rd\nB: 0.5",
                           "A: 0\xC2\xB7"
                           "85\nB: 0.5",
                           "A: 1.2.3\nB: 0.5"}) {
    const ReadAnswer answer = read_scores_text(text, 2);
    EXPECT_THAT(scores(answer), ElementsAre(kNone, 0.5F)) << text;
    EXPECT_EQ(answer.faults.not_a_number, 1) << text;
  }
  EXPECT_EQ(read_scores_text("[0,85, 0,7, 1, 0]", 6).read(), 0) << "four or six numbers";
  EXPECT_THAT(read("[0,1,0,1,1,0]", 6), ElementsAre(0, 1, 0, 1, 1, 0));
}

TEST(Answer, ThoughtsAreNoAnswer) {
  const std::string draft = R"({"A": 0.4, "B": 0.5, "C": 0.6})", good = R"({"A": 0.1, "B": 0.5, "C": 0.9})";
  EXPECT_EQ(read_scores_text("<think>A draft: " + draft + " but let me", 3).read(), 0);
  EXPECT_EQ(read_scores_text("analysisA draft: " + draft, 3).read(), 0);
  const ReadAnswer answer = read_scores_text("analysisA draft: " + draft + " No.assistantfinal" + good, 3);
  EXPECT_THAT(scores(answer), ElementsAre(0.1F, 0.5F, 0.9F));
  EXPECT_EQ(answer.faults.contradicted, 0);
}

TEST(Answer, RandomTextsNeitherCrashNorTakeLong) {
  const char* pieces[] = {"{",  "}",   "[",   "]",     "\"A\"", "\"B\": ", "0,85",    "0.5",
                          ", ", "\n",  "A: ", "\"",    "\\",    ":",       "<think>", "'C': ",
                          "-",  "1e9", "%",   "score", "/",     "null"};
  std::uint64_t state = 1;
  const auto random = [&](std::size_t n) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>(state >> 33) % n;
  };
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (std::size_t k = random(30); k > 0; --k) text += pieces[random(std::size(pieces))];
    const ReadAnswer answer = read_scores_text(text, 3, round % 2 == 0);
    ASSERT_EQ(answer.scores.size(), 3U);
    for (const float score : answer.scores)
      ASSERT_TRUE(std::isnan(score) || (score >= 0 && score <= 1)) << text;
  }
  for (const char* first : pieces) {
    for (const char* second : pieces) {
      std::string text;
      while (text.size() < 8'000) text += std::string(first) + second;
      EXPECT_LE(read_scores_text(text, 3).read(), 3);
    }
  }
}

TEST(Answer, TenThousandScoresAndDeepNestsAreNoTrouble) {
  std::string many = "{";
  for (int k = 0; k < 10000; ++k) many += "\"" + candidate_label(static_cast<std::size_t>(k)) + "\": 0.25, ";
  const ReadAnswer answer = read_scores_text(many + "\"A\": 1}", 20);
  EXPECT_EQ(answer.read(), 20);
  EXPECT_NEAR(static_cast<double>(answer.faults.unknown), 9980, 5) << "all but names such as ID";
  EXPECT_EQ(answer.faults.repeated, 1);
  EXPECT_EQ(read_scores_text(std::string(1'000'000, '['), 20).read(), 0);
  std::string deep;
  for (int k = 0; k < 100'000; ++k) deep += "{\"x\":";
  EXPECT_EQ(read_scores_text(deep, 20).read(), 0);
}

TEST(Answer, LabelsAreLettersAndGoOn) {
  EXPECT_EQ(candidate_label(0), "A");
  EXPECT_EQ(candidate_label(25), "Z");
  EXPECT_EQ(candidate_label(26), "AA");
  EXPECT_EQ(candidate_label(701), "ZZ");
  EXPECT_EQ(candidate_label(702), "AAA");
}

TEST(Answer, ChoiceIsTheLabelsShareOfTheProbability) {
  const std::vector<TokenLogprob> top = {{"A", std::log(0.5)},
                                         {" B", std::log(0.2)},
                                         {"\xE2\x96\x81"
                                          "B",
                                          std::log(0.1)},
                                         {"a", std::log(0.05)},
                                         {"The", std::log(0.1)},
                                         {"C", NAN}};
  const ReadAnswer answer = read_choice(top, 3);
  // Mass .5, .3 and, unlisted, the lowest listed one.
  EXPECT_NEAR(answer.scores[0], std::log(0.5 / 1.1), 1e-6);
  EXPECT_NEAR(answer.scores[1], std::log(0.3 / 1.1), 1e-6);
  EXPECT_NEAR(answer.scores[2], std::log(0.3 / 1.1), 1e-6);
  EXPECT_EQ(answer.faults.missing, 1);
  EXPECT_EQ(read_choice({}, 3).read(), 0);
}

TEST(Answer, OneLabelOfSeveralIsNoChoice) {
  const std::vector<TokenLogprob> top = {
      {"A", std::log(0.9)}, {" A", std::log(0.05)}, {"The", std::log(0.05)}};
  const ReadAnswer answer = read_choice(top, 3);
  EXPECT_EQ(answer.read(), 0);
  EXPECT_EQ(answer.faults.missing, 3);
  EXPECT_EQ(read_choice(top, 1).scores, std::vector<float>{0.0F}) << "there is no other";
}

TEST(Answer, YesAndNoInAnySpelling) {
  const std::vector<TokenLogprob> top = {
      {"Yes", std::log(0.3)}, {" yes", std::log(0.3)}, {"NO", std::log(0.2)}};
  EXPECT_NEAR(read_yes_no(top).scores[0], 0.75F, 1e-6);
  EXPECT_TRUE(std::isnan(read_yes_no({}).scores[0]));
}

}  // namespace
}  // namespace sllmr
