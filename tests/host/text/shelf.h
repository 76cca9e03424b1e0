// Small catalogues for the tests of host/text.
#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "tests/host/ask/toy_data.h"

namespace sllmr::test {

struct ShelfItem {
  std::string title;
  std::vector<std::string> attributes = {};  // unlabelled: a brand, then categories
};

/// One user who has taken them all, in this order.
inline Dataset shelf(const std::vector<ShelfItem>& items) {
  std::vector<Id> history(items.size());
  std::iota(history.begin(), history.end(), 1);
  Dataset data = make_dataset({history}, static_cast<Id>(items.size()));
  data.source = "shelf.inter";
  data.attribute_offsets = {0, 0};
  for (std::size_t k = 0; k < items.size(); ++k) {
    data.titles[k + 1] = items[k].title;
    for (const std::string& token : items[k].attributes) {
      data.item_attributes.push_back(data.attributes.add(token));
    }
    data.attribute_offsets.push_back(static_cast<std::int64_t>(data.item_attributes.size()));
  }
  data.hash = content_hash(data);
  data.text_hash = text_hash(data);
  return data;
}

inline std::vector<ShelfItem> cosmetics() {
  return {{"red nail polish", {"essie", "nails", "polish"}},
          {"Blue nail-polish", {"essie", "nails", "polish"}},
          {"nail file, glass", {"zwilling", "nails", "tools"}},
          {"face cream for the night", {"nivea", "face"}},
          {"day cream for the face", {"nivea", "face"}},
          {"shampoo", {"nivea", "hair"}},
          {"hair oil and shampoo for dry hair", {"wella", "hair"}},
          {"glass hair pin", {"wella", "hair", "tools"}}};
}

}  // namespace sllmr::test
