#include "host/text/text_vectors.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>

#include "host/base/safetensors.h"
#include "host/scores/table_origin.h"
#include "host/text/item_texts.h"
#include "tests/host/support.h"
#include "tests/host/text/shelf.h"

namespace sllmr {
namespace {

using test::cosmetics;
using test::shelf;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kTemplate = "{title}; {brand}";

TextVectors made(const Dataset& data, const std::vector<double>& rows, std::int64_t width) {
  return unit_vectors(rows, width, "stub", "model-1", kTemplate, data, item_texts(data, kTemplate));
}

class TextVectorsTest : public testing::Test {
 protected:
  TextVectorsTest() {
    std::vector<double> rows(3, 0.0);
    for (std::size_t k = 1; k <= cosmetics().size(); ++k) {
      rows.insert(rows.end(), {static_cast<double>(k), 2.0, -1.0});
    }
    vectors_ = made(data_, rows, 3);
    save_text_vectors(path_, vectors_, data_);
  }
  /// What loading says of the file after `change` to its values, shape and metadata.
  std::string error_after(const std::function<void(std::vector<float>&, std::vector<std::int64_t>&,
                                                   std::map<std::string, std::string>&)>& change) const {
    const SafetensorsFile file = read_safetensors(path_);
    std::vector<float> values(vectors_.values.size());
    file.copy_to("items", std::span(values));
    std::vector<std::int64_t> shape = file.tensor("items").shape;
    std::map<std::string, std::string> metadata = file.metadata;
    change(values, shape, metadata);
    const std::string path = folder_ / "changed.safetensors";
    const TensorView tensor = tensor_view<float>("items", shape, values);
    write_safetensors(path, std::span(&tensor, 1), metadata);
    return error_of([&] { load_text_vectors(path, data_); });
  }
  std::string error_with(std::size_t at, float value) const {
    return error_after([&](auto& values, auto&, auto&) { values[at] = value; });
  }

  TemporaryFolder folder_;
  Dataset data_ = shelf(cosmetics());
  TextVectors vectors_;
  std::string path_ = folder_ / "v.safetensors";
};

TEST_F(TextVectorsTest, RowsAreUnitVectorsInTheirDirection) {
  EXPECT_THAT(vectors_.of(0), ElementsAre(0, 0, 0));
  const double length = std::sqrt(3.0 * 3.0 + 2.0 * 2.0 + 1.0);
  EXPECT_THAT(vectors_.of(3), ElementsAre(testing::FloatEq(static_cast<float>(3 / length)),
                                          testing::FloatEq(static_cast<float>(2 / length)),
                                          testing::FloatEq(static_cast<float>(-1 / length))));
}

TEST_F(TextVectorsTest, AnItemOfWhichNothingIsKnownIsTheMeanOfTheOthers) {
  const Dataset data = shelf({{"a", {}}, {"b", {}}, {"c", {}}});
  const TextVectors vectors = made(data, {0, 0, 10, 0, 0, 0, 0, 3}, 2);
  const float half = std::sqrt(0.5F);
  EXPECT_THAT(vectors.of(2), ElementsAre(testing::FloatEq(half), testing::FloatEq(half)));
  EXPECT_EQ(vectors.origin["run"]["placeholders"], 1);
  EXPECT_THAT(error_of([&] { made(data, std::vector<double>(8, 0.0), 2); }), HasSubstr("no direction"));
  EXPECT_THAT(error_of([&] {
                made(data, {0, 0, 1, 0, 0, std::numeric_limits<double>::quiet_NaN(), 0, 3}, 2);
              }),
              HasSubstr("the encoder stub gives item 'i2' a vector that is not finite"));
}

TEST_F(TextVectorsTest, ComeBackAsTheyWereWritten) {
  const TextVectors read = load_text_vectors(path_, data_);
  EXPECT_EQ(read.width, 3);
  EXPECT_EQ(read.values, vectors_.values);
  EXPECT_EQ(read.origin["encoder"], "stub");
  EXPECT_EQ(read.origin["model"], "model-1");
  EXPECT_EQ(read.origin["template"], kTemplate);
  EXPECT_EQ(read.origin["texts_hash"], vectors_.origin["texts_hash"]);

  const std::optional<TableOrigin> note = read_origin(path_);
  ASSERT_TRUE(note);
  EXPECT_TRUE(is_origin_of(*note, path_));
  EXPECT_EQ(note->scorer, "stub");
  EXPECT_EQ(note->prompt, kTemplate);
  EXPECT_EQ(note->data_hash, data_.hash);
  EXPECT_EQ(note->run["width"], 3);
  EXPECT_EQ(note->run["items_hash"], vectors_.origin["items_hash"]);
  std::filesystem::remove(origin_path(path_));
  EXPECT_EQ(load_text_vectors(path_, data_).values, vectors_.values) << "the note is for people";
}

TEST_F(TextVectorsTest, OfOtherDataAreRefused) {
  const auto error = [&](const Dataset& data) { return error_of([&] { load_text_vectors(path_, data); }); };
  auto fewer = cosmetics();
  fewer.pop_back();
  const auto remedy = HasSubstr("make the vectors again with `sllmr llm embed`");
  EXPECT_THAT(error(shelf(fewer)),
              AllOf(HasSubstr(path_), HasSubstr("they are of 8 items, toy has 7"), remedy));
  auto renamed = cosmetics();
  renamed[2].title = "nail file of steel";
  EXPECT_THAT(error(shelf(renamed)), AllOf(HasSubstr("the items of toy have other texts now"), remedy));
  auto rebranded = cosmetics();
  rebranded[2].attributes[0] = "solingen";
  EXPECT_THAT(error(shelf(rebranded)), HasSubstr("have other texts now"));
  auto moved = cosmetics();
  moved[2].attributes[1] = "hands";  // no field of the template
  EXPECT_EQ(error(shelf(moved)), "no error");

  Dataset others = data_;
  others.items = TokenMap();
  for (int k = 8; k > 0; --k) others.items.add("i" + std::to_string(k));
  EXPECT_THAT(error(others), AllOf(HasSubstr("other items than toy has, or in another order"), remedy));
}

TEST_F(TextVectorsTest, WhatIsNoUnitVectorIsRefused) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(error_with(4, vectors_.values[4]), "no error");
  const auto of_item = [](const char* norm) {
    return AllOf(HasSubstr("changed.safetensors': the vector of item 'i2' (row 2) has norm"), HasSubstr(norm),
                 HasSubstr("not 1; make the vectors again"));
  };
  EXPECT_THAT(error_with(6, vectors_.values[6] + 0.001F), of_item("1.0"));
  EXPECT_THAT(error_with(6, kNan), of_item("nan"));
  EXPECT_THAT(error_with(6, kInfinity), of_item("inf"));
  EXPECT_THAT(error_after([](auto& values, auto&, auto&) { values[6] = values[7] = values[8] = 0; }),
              of_item("0"))
      << "a missing item";
  EXPECT_THAT(error_with(1, 0.5F), HasSubstr("row 0, the padding, is not zero"));
  EXPECT_THAT(error_with(1, kNan), HasSubstr("row 0, the padding, is not zero"));
}

TEST_F(TextVectorsTest, WhatIsNoFileOfThemIsRefused) {
  using Shape = std::vector<std::int64_t>;
  EXPECT_THAT(error_after([](auto&, Shape& shape, auto&) {
                shape = {3, 9};
              }),
              HasSubstr("they are of 2 items, toy has 8"))
      << "another width";
  EXPECT_THAT(error_after([](auto&, Shape& shape, auto&) { shape = {27}; }),
              HasSubstr("the tensor 'items' is no float32 matrix of items x width"));
  EXPECT_THAT(error_after([](auto& values, Shape& shape, auto&) {
                values.clear();
                shape = {9, 0};
              }),
              HasSubstr("no float32 matrix"));
  EXPECT_THAT(error_after([](auto&, auto&, auto& metadata) { metadata.erase("template"); }),
              HasSubstr("their metadata do not tell 'template'; make the vectors again"));
  EXPECT_THAT(error_after([](auto&, auto&, auto& metadata) { metadata["template"] = "{titel}"; }),
              HasSubstr("no field {titel}"));

  const auto error = [&] { return error_of([&] { load_text_vectors(path_, data_); }); };
  const std::string whole = read_all(path_);
  std::ofstream(path_, std::ios::binary) << whole.substr(0, whole.size() - 5);
  EXPECT_THAT(error(), AllOf(HasSubstr("text vectors '" + path_ + "' is damaged"),
                             HasSubstr("make the vectors again with `sllmr llm embed`")));
  std::ofstream(path_, std::ios::binary) << "user_id\titem_id\tscore\nu1\ti1\t0.5\n";
  EXPECT_THAT(error(), HasSubstr("text vectors '" + path_ + "' is damaged"));
  const TensorView other = tensor_view<float>("U", {1, 3}, std::span(vectors_.values).first(3));
  write_safetensors(path_, std::span(&other, 1), {});
  EXPECT_THAT(error(), HasSubstr("has no tensor 'items': it is no file of text vectors; make one with `sllmr "
                                 "llm embed`"));
  std::filesystem::remove(path_);
  EXPECT_THAT(error(), HasSubstr("cannot read text vectors '" + path_ + "': No such file"));
}

}  // namespace
}  // namespace sllmr
