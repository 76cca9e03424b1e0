#include "host/text/written_texts.h"

#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <vector>

#include "host/text/example_retrieval.h"
#include "tests/host/support.h"
#include "tests/host/text/shelf.h"

namespace sllmr {
namespace {

using testing::HasSubstr;

/// Users of 6, 3, 2 and 1 interactions; item 6 has no text, no user has item 8.
Dataset shop() {
  Dataset data = test::make_dataset({{1, 2, 3, 4, 5, 6}, {7, 1, 2}, {3, 4}, {5}}, 8);
  for (const Id item : {1, 2, 3, 4, 5, 7, 8}) data.titles[static_cast<std::size_t>(item)] = "title";
  data.source = "shop.inter";
  return data;
}

TEST(TextSubjects, AreItemsWithAText) {
  const Dataset data = shop();
  const auto subjects = text_subjects(Subject::item, leave_one_out(data), {});
  std::vector<Id> items;
  for (const TextSubject& subject : subjects) items.push_back(subject.item);
  EXPECT_EQ(items, (std::vector<Id>{1, 2, 3, 4, 5, 7, 8}));
  const Dataset bare = test::make_dataset({{1, 2, 3}}, 3);
  EXPECT_THAT(error_of([&] { text_subjects(Subject::item, leave_one_out(bare), {}); }),
              HasSubstr("no item has a title or an attribute"));
}

TEST(TextSubjects, OfUsersKnowTheFirstTrainingInteractionsAlone) {
  const Dataset data = shop();
  const Split split = leave_one_out(data);
  const auto known = [&](int history) {
    std::vector<std::pair<Id, int>> all;
    for (const TextSubject& subject : text_subjects(Subject::user, split, {.history = history}))
      all.emplace_back(subject.user, subject.position);
    return all;
  };
  using Pairs = std::vector<std::pair<Id, int>>;
  EXPECT_EQ(known(3), (Pairs{{1, 3}, {2, 1}, {3, 2}, {4, 1}}));
  EXPECT_EQ(known(100), (Pairs{{1, 4}, {2, 1}, {3, 2}, {4, 1}})) << "never what is held out";
  const auto two = text_subjects(Subject::user, split, {.history = 1, .users = 2, .seed = 5});
  ASSERT_EQ(two.size(), 2U);
  EXPECT_LT(two[0].user, two[1].user);
  EXPECT_EQ(two, text_subjects(Subject::user, split, {.history = 1, .users = 2, .seed = 5}));
}

TEST(TextSubjects, OfExamplesAreTheRunsPool) {
  const Dataset data = shop();
  const Split split = leave_one_out(data);
  const ExamplePool pool = example_pool(split, 0.7, 3);
  const auto subjects = text_subjects(Subject::example, split, {.share = 0.7, .seed = 3});
  ASSERT_EQ(subjects.size(), pool.rows.size());
  for (std::size_t k = 0; k < subjects.size(); ++k) {
    EXPECT_EQ(subjects[k],
              (TextSubject{pool.rows[k].user, pool.rows[k].item, pool.rows[k].position, pool.labels[k]}));
  }
}

class WrittenFile : public testing::Test {
 protected:
  void write(const std::string& lines) const { std::ofstream(path_) << lines; }
  std::string error(const std::string& lines) const {
    write(lines);
    return error_of([&] { load_written_texts(path_, data_); });
  }

  Dataset data_ = shop();
  TemporaryFolder folder_;
  std::string path_ = folder_ / "t.jsonl";
};

TEST_F(WrittenFile, KeepsWhatItIsGiven) {
  const std::vector<WrittenTexts> all = {
      {Subject::item, {{{.item = 2}, "a \"quoted\" text\nof two lines"}, {{.item = 1}, "another"}}},
      {Subject::user, {{{.user = 1, .position = 3}, "likes"}, {{.user = 2, .position = 1}, "hates"}}},
      {Subject::example, {{{1, 3, 2, 1}, "first"}, {{1, 3, 2, 1}, "second"}, {{1, 8, 2, 0}, "other"}}}};
  for (const WrittenTexts& written : all) {
    save_written_texts(path_, written, data_);
    const WrittenTexts read = load_written_texts(path_, data_);
    EXPECT_EQ(read.about, written.about);
    ASSERT_EQ(read.texts.size(), written.texts.size());
    for (std::size_t k = 0; k < read.texts.size(); ++k) {
      EXPECT_EQ(read.texts[k].subject, written.texts[k].subject);
      EXPECT_EQ(read.texts[k].text, written.texts[k].text);
    }
  }
}

TEST_F(WrittenFile, OfSomethingElseIsRefusedByLine) {
  const std::string good = "{\"item\": \"i1\", \"text\": \"good\"}\n";
  EXPECT_EQ(error(good), "no error");
  EXPECT_THAT(error(good + "no JSON\n"), HasSubstr("t.jsonl:2: it is no JSON object"));
  EXPECT_THAT(error(good + "{\"text\": \"x\"}\n"), HasSubstr("t.jsonl:2: the text is about no 'item'"));
  EXPECT_THAT(error("{\"item\": 1, \"text\": \"x\"}\n"), HasSubstr("'item' must be a text"));
  EXPECT_THAT(error("{\"item\": \"i99\", \"text\": \"x\"}\n"), HasSubstr("toy has no item 'i99'"));
  EXPECT_THAT(error("{\"user\": \"u1\", \"text\": \"x\"}\n"), HasSubstr("'history' must be a number"));
  EXPECT_THAT(error("{\"user\": \"u1\", \"history\": 7, \"text\": \"x\"}\n"), HasSubstr("0 to 6"));
  EXPECT_THAT(
      error("{\"user\": \"u1\", \"item\": \"i1\", \"position\": -1, \"label\": 1, \"text\": \"x\"}\n"),
      HasSubstr("'position' must be a number"));
  EXPECT_THAT(error("{\"user\": \"u1\", \"item\": \"i1\", \"position\": 1, \"label\": 2, \"text\": \"x\"}\n"),
              HasSubstr("'label' must be 0 or 1"));
  EXPECT_THAT(error("{\"item\": \"i1\", \"text\": \" \"}\n"), HasSubstr("a text that is not empty"));
  EXPECT_THAT(error(good + good), HasSubstr("t.jsonl:2: another text about item i1"));
  EXPECT_THAT(error(good + "{\"user\": \"u1\", \"history\": 1, \"text\": \"x\"}\n"),
              HasSubstr("of users, where the first line is of items"));
  EXPECT_THAT(error(""), HasSubstr("holds no texts"));
}

}  // namespace
}  // namespace sllmr
