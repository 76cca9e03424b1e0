#include "host/text/item_texts.h"

#include <gmock/gmock.h>

#include "tests/host/text/shelf.h"
#include "tests/support/errors.h"

namespace sllmr {
namespace {

using test::shelf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kLabelled = "title: {title}; brand: {brand}; category: {categories}";

TEST(ItemTexts, PartsWithoutAValueAreLeftOut) {
  const Dataset data = shelf({{"red  nail\npolish ", {"essie", "nails", "polish"}},
                              {"", {"essie"}},
                              {"a {title} of its own", {}},
                              {"", {"nails"}},
                              {"", {}}});
  EXPECT_THAT(item_texts(data, kLabelled),
              ElementsAre("", "title: red nail polish; brand: essie; category: nails, polish", "brand: essie",
                          "title: a {title} of its own", "category: nails", ""));
  EXPECT_THAT(item_texts(data, "{attributes} ({item})"),
              ElementsAre("", "essie, nails, polish (i1)", "essie (i2)", "(i3)", "nails (i4)", "(i5)"));
}

TEST(ItemTexts, LongOnesAreCutBetweenCharacters) {
  std::string title;
  for (int k = 0; k < 1500; ++k) title += "\u00e4";  // two bytes each
  const std::string text = item_texts(shelf({{title, {}}, {"b", {}}}), "t {title}")[1];
  EXPECT_EQ(text.size(), 2000u);
  EXPECT_EQ(text.substr(1998), "\u00e4");
}

TEST(ItemTexts, WhatTellsNothingIsRefused) {
  EXPECT_THAT(
      error_of([] {
        item_texts(shelf({{"a", {}}, {"b", {}}}), "title: {titel}");
      }),
      HasSubstr("the text template 'title: {titel}' has no field {titel}; the fields are title, brand, "
                "categories, attributes, item"));
  EXPECT_THAT(error_of([] {
                item_texts(shelf({{"", {}}, {"", {}}}), kLabelled);
              }),
              HasSubstr("shelf.inter: no item has a text by the template"));
  EXPECT_THAT(error_of([] {
                item_texts(shelf({{"soap", {"x"}}, {"soap", {"y"}}}), "title: {title}");
              }),
              HasSubstr("shelf.inter: all 2 items have the same text 'title: soap' by the template 'title: "
                        "{title}'; use one with fields that tell them apart"));
  EXPECT_THAT(error_of([] {
                item_texts(shelf({{"a", {}}, {"b", {}}}), "{title} \xff");
              }),
              HasSubstr("UTF-8"));
}

TEST(ItemTexts, HashesTellItemsTextsAndOrderApart) {
  const Dataset data = shelf({{"ab", {}}, {"c", {}}});
  const auto hash = [](const Dataset& d) { return texts_hash(item_texts(d, "{title}")); };
  EXPECT_NE(hash(data), hash(shelf({{"a", {}}, {"bc", {}}})));
  EXPECT_NE(hash(data), hash(shelf({{"c", {}}, {"ab", {}}})));
  EXPECT_EQ(items_hash(data), items_hash(shelf({{"x", {}}, {"y", {}}})));
  EXPECT_NE(items_hash(data), items_hash(shelf({{"ab", {}}, {"c", {}}, {"d", {}}})));
}

}  // namespace
}  // namespace sllmr
