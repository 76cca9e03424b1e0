#include "host/text/written_vectors.h"

#include <gmock/gmock.h>

#include <fstream>

#include "host/scores/table_origin.h"
#include "host/text/text_vectors.h"
#include "tests/host/support.h"
#include "tests/host/text/shelf.h"
#include "tests/host/text/written.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// Of the shelf's one user.
const TextSubject kRow{1, 5, 4, 1}, kOther{1, 8, 4, 0};

class WrittenVectorsFile : public testing::Test {
 protected:
  void SetUp() override {
    vectors_ = test::made_up_vectors(
        {Subject::example, {{kRow, "day cream, glass and shampoo"}, {kOther, "a hair pin of glass"}}}, data_,
        6);
    vectors_.origin["share"] = "0.5";
  }
  std::string error(const Dataset& data, Subject about = Subject::example) const {
    return error_of([&] { load_written_vectors(path_, about, data); });
  }

  Dataset data_ = test::shelf(test::cosmetics());
  TemporaryFolder folder_;
  std::string path_ = folder_ / "c.safetensors";
  WrittenVectors vectors_;
};

TEST_F(WrittenVectorsFile, KeepsWhatItIsGiven) {
  save_written_vectors(path_, vectors_, data_);
  const WrittenVectors read = load_written_vectors(path_, Subject::example, data_);
  EXPECT_EQ(read.subjects, (std::vector<TextSubject>{kRow, kOther}));
  EXPECT_EQ(read.width, 6);
  EXPECT_EQ(read.values, vectors_.values);
  EXPECT_EQ(read.origin["encoder"], "tfidf");
  EXPECT_EQ(read.origin["share"], "0.5");
  EXPECT_FALSE(read.origin.contains("seed"));
  EXPECT_EQ(read_origin(path_)->run["vectors"], 2);
}

TEST_F(WrittenVectorsFile, OfSomethingElseIsRefused) {
  save_written_vectors(path_, vectors_, data_);
  EXPECT_THAT(error(data_, Subject::user), HasSubstr("they are about examples; make the vectors again"));
  Dataset others = test::shelf(test::cosmetics());
  others.hash += 1;
  EXPECT_THAT(error(others), HasSubstr("other users, items or interactions now"));
  others = test::shelf(test::cosmetics());
  others.text_hash += 1;
  EXPECT_THAT(error(others), HasSubstr("other texts now"));
  for (float& x : vectors_.values) x *= 2;
  save_written_vectors(path_, vectors_, data_);
  EXPECT_THAT(error(data_), HasSubstr("row 0 has norm 2, not 1"));
  vectors_.values.assign(vectors_.values.size(), std::numeric_limits<float>::quiet_NaN());
  save_written_vectors(path_, vectors_, data_);
  EXPECT_THAT(error(data_), HasSubstr("row 0 has norm nan"));
  std::ofstream(path_) << "nothing of the kind";
  EXPECT_THAT(error(data_), HasSubstr("c.safetensors"));
}

TEST_F(WrittenVectorsFile, OfItemsAreNoneOfUsers) {
  EncoderOptions options;
  options.text_template = "{title}";
  options.width = 4;
  const TextVectors items = find_encoder("tfidf").encode(data_, options).vectors;
  save_text_vectors(path_, items, data_);
  EXPECT_THAT(error(data_, Subject::user), HasSubstr("does not tell what its texts are about"));
}

/// Relevant, consistent or complete: the sample that says most of all three.
TEST(WrittenVectors, TakeTheBestSampleAndLeaveOutWhatTheEncoderDoesNotKnow) {
  const Dataset data = test::shelf(test::cosmetics());
  const std::string relevant =
      "red nail polish, blue nail polish and a nail file of glass, day cream for the face";
  const WrittenTexts written{Subject::example,
                             {{kRow, "shampoo and hair oil"},
                              {kRow, relevant},
                              {kRow, "words that nobody knows"},
                              {kOther, "unheard sounds"}}};
  const std::vector<std::string> texts = texts_to_encode(written, data);
  ASSERT_EQ(texts.size(), 4U + 4U + 2U);
  EXPECT_EQ(texts[8],
            "The user bought red nail polish; Blue nail-polish; nail file, glass; face cream for the night.");
  EXPECT_EQ(texts[9], "The user buys day cream for the face.");
  const WrittenVectors chosen = test::made_up_vectors(written, data, 6),
                       expected = test::made_up_vectors({Subject::example, {{kRow, relevant}}}, data, 6);
  EXPECT_EQ(chosen.subjects, std::vector<TextSubject>{kRow});
  EXPECT_EQ(chosen.values, expected.values);
  EXPECT_EQ(chosen.origin["run"]["unknown"], 1);
  EXPECT_EQ(chosen.origin["run"]["chosen_among_samples"], 1);
}

}  // namespace
}  // namespace sllmr
