#include "tests/host/data/data_files.h"

namespace sllmr {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kMatrixHeader =
    "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n";
// A row that is there twice, one without a time, and a date as pandas writes integers beside holes.
const std::string kMatrixRows =
    "14,148,4381,6067,2020-07-05 05:27:48.378,20200705,1593898068.378,0.7221\n"
    "14,183,22600,6100,2020-07-05 05:28:00.057,20200705.0,1593898080.057,3.7049\n"
    "14,183,22600,6100,2020-07-05 05:28:00.057,20200705.0,1593898080.057,3.7049\n"
    "14,214,13000,6500,,,,2.0\n"
    "19,148,12134,6067,2020-07-04 01:00:00,20200704,1593824400,2.0\n"
    "14,99,500,5000,2020-07-05 05:27:48.377,20200705,1593898068.377,0.1\n";

class KuaiRec : public DataFiles {};

TEST_F(KuaiRec, ReadsViewsInTheOrderOfTheirFractionsOfSeconds) {
  const std::string file = write("data/big_matrix.csv", kMatrixHeader + kMatrixRows);
  write("data/item_categories.csv", "video_id,feat\n148,[8]\n183,\"[27, 9]\"\n99,[]\n5000,[1]\n");
  const Dataset data = load_dataset(path("data"));
  EXPECT_EQ(data.name, "big_matrix");
  EXPECT_THAT(history_of(data, "14"), ElementsAre("99", "148", "183"));
  EXPECT_THAT(history_of(data, "19"), ElementsAre("148"));
  EXPECT_THAT(attributes_of(data, "183"), ElementsAre("27", "9"));
  EXPECT_THAT(attributes_of(data, "148"), ElementsAre("8"));
  EXPECT_THAT(
      data.notes,
      testing::IsSupersetOf({"note: " + file + ": 1 rows that would count have no timestamp and are left out",
                             "note: " + file +
                                 ": a row counts whatever its watch_ratio (data.min_rating=2 would choose); "
                                 "not used: play_duration, video_duration"}));
  EXPECT_THAT(data.notes, Contains(HasSubstr("1 of 5 rows repeat user, item and time")));
}

TEST_F(KuaiRec, APositiveWasWatchedForLongEnough) {
  const std::string file = write("big_matrix.csv", kMatrixHeader + kMatrixRows);
  const Dataset data = load_dataset(file, options_with(&ImportOptions::min_rating, 2.0));
  EXPECT_THAT(history_of(data, "14"), ElementsAre("183"));
  EXPECT_THAT(history_of(data, "19"), ElementsAre("148"));
  EXPECT_THAT(
      history_of(load_dataset(file, options_with(&ImportOptions::keep, "play_duration > 20000")), "14"),
      ElementsAre("183"));
}

TEST_F(KuaiRec, TwoMatricesInAFolderAreTold) {
  write("data/big_matrix.csv", kMatrixHeader + kMatrixRows);
  write("data/small_matrix.csv", kMatrixHeader + kMatrixRows);
  EXPECT_THAT(load_error(path("data")), HasSubstr("there are 2 data sets here"));
  EXPECT_EQ(load_dataset(path("data/small_matrix")).name, "small_matrix");
}

TEST_F(KuaiRec, CaptionsAreTitlesWhereTheirFileIsNamed) {
  const std::string file = write("big_matrix.csv", kMatrixHeader + kMatrixRows);
  write("item_categories.csv", "video_id,feat\n148,[8]\n");
  const std::string header =
      "video_id,manual_cover_text,caption,topic_tag,first_level_category_id,first_level_category_name,"
      "second_level_category_id,second_level_category_name,third_level_category_id,third_level_category_"
      "name\n";
  const std::string captions =
      write("kuairec_caption_category.csv",
            header +
                "148,UNKNOWN,\"Cats, and\ndogs\",\"[pets,fun]\",1,Animals,2,Pets,-124,UNKNOWN\n"
                "183,Cover,,[],3,Food,-124,UNKNOWN,-124,UNKNOWN\n"
                "99,UNKNOWN,,[],-124,UNKNOWN,-124,UNKNOWN,-124,UNKNOWN\n");
  const Dataset data = load_dataset(file, options_with(&ImportOptions::items, captions));
  EXPECT_EQ(title_of(data, "148"), "Cats, and dogs");
  EXPECT_THAT(attributes_of(data, "148"), ElementsAre("Animals", "Pets"));
  EXPECT_EQ(title_of(data, "183"), "Cover");
  EXPECT_EQ(title_of(data, "99"), "");
  write("kuairec_caption_category.csv", header + "148,UNKNOWN,\"cut\n");
  EXPECT_THAT(load_error(file, options_with(&ImportOptions::items, captions)),
              HasSubstr("csv:2: a quotation mark is not closed"));
}

TEST_F(KuaiRec, MalformedLinesAreNamed) {
  const auto error = [&](const std::string& text) {
    return load_error(write("m.csv", text), options_with(&ImportOptions::format, "kuairec"));
  };
  EXPECT_THAT(error("user_id,video_id\n1,2\n"),
              HasSubstr("m.csv:1: the header is not 'user_id,video_id,play"));
  EXPECT_THAT(error(kMatrixHeader + "1,2,3,4,5,6,7\n"), HasSubstr("m.csv:2: 7 fields where 8 are expected"));
  EXPECT_THAT(error(kMatrixHeader + "1,2,3,4,5,6,now,1\n"), HasSubstr("m.csv:2: timestamp is 'now'"));
  EXPECT_THAT(error(kMatrixHeader + ",2,3,4,5,6,7,1\n"), HasSubstr("m.csv:2: the user id is empty"));
  EXPECT_THAT(error(kMatrixHeader + "1,2,3,4,,,,1\n"), HasSubstr("there are no interactions"));
  const std::string file = write("big_matrix.csv", kMatrixHeader + kMatrixRows);
  write("item_categories.csv", "video_id,feat\n148,8\n");
  EXPECT_THAT(load_error(file), HasSubstr("item_categories.csv:2: feat is '8', no list such as [27, 9]"));
  write("item_categories.csv", "id,feat\n148,[8]\n");
  EXPECT_THAT(load_error(file),
              HasSubstr("item_categories.csv:1: the header is neither 'video_id,feat' nor"));
  const std::string bad = write("ratio.csv", kMatrixHeader + "1,2,3,4,5,6,7,\n");
  EXPECT_THAT(load_error(bad, options_with(&ImportOptions::min_rating, 2.0)),
              HasSubstr("ratio.csv:2: watch_ratio is '', not a finite number; correct or delete the line, or "
                        "leave data.min_rating out"));
}

}  // namespace
}  // namespace sllmr
