// Every kind of extra vector, small.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "models/extra/expert_adaptor.h"
#include "models/extra/text_map.h"
#include "tests/support/world.h"

namespace sllmr {

/// Random vectors of items, [rows x width]; row 0 is zero.
inline ItemVectors random_vectors(std::int64_t rows, std::int64_t width) {
  const auto n = static_cast<std::size_t>(rows * width);
  std::vector<float> values = TestNumbers(31).many(n, -1.0F, 1.0F);
  std::fill_n(values.begin(), width, 0.0F);
  return {width, std::make_shared<const std::vector<float>>(std::move(values))};
}

struct ExtraKind {
  std::string name;
  std::shared_ptr<const ExtraVectorMaker> maker;
};

/// For models of these tables, from item vectors of `width` numbers.
inline std::vector<ExtraKind> extra_kinds(const std::array<Id, kVocabularies>& table_rows,
                                          std::int64_t width) {
  const ItemVectors vectors = random_vectors(table_rows[static_cast<std::size_t>(Vocabulary::item)], width);
  return {{"a map of the item's text", text_map(vectors)},
          {"an adaptor of experts",
           expert_adaptor({.vectors = vectors, .hidden = {6}, .shared = 2, .own = 1, .dropout = 0.2})}};
}

}  // namespace sllmr
