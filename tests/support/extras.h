// Every kind of extra vector, small.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "models/extra/expert_adaptor.h"
#include "models/extra/in_context.h"
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

/// Of users, some of whom need a longer history than rows of tests have.
inline UserVectors random_users(std::int64_t rows, std::int64_t width) {
  std::vector<std::int32_t> least;
  for (std::int64_t user = 0; user < rows; ++user) least.push_back(static_cast<std::int32_t>(user % 4));
  ItemVectors vectors = random_vectors(rows + 5, width);
  return {{width, std::make_shared<const std::vector<float>>(vectors.values->end() - rows * width,
                                                             vectors.values->end())},
          std::make_shared<const std::vector<std::int32_t>>(std::move(least))};
}

struct ExtraKind {
  std::string name;
  std::shared_ptr<const ExtraVectorMaker> maker;
  bool examples = false;  // its batches bring kExamples a row along, of a pool of kExamplePool
};
inline constexpr int kExamples = 3;
inline constexpr Id kExamplePool = 20;

/// Without the reconstruction loss, which logits know nothing of.
inline InContextOptions small_in_context(const ItemVectors& vectors, bool chains) {
  InContextOptions options{.vectors = vectors, .examples = kExamples, .labels = {}, .chains = {}};
  for (Id k = 0; k < kExamplePool; ++k) options.labels.push_back(k % 3 == 0 ? 1 : 0);
  options.text_hidden = {5};
  options.joint_hidden = {6};
  options.reconstruction_hidden = {7};
  options.reconstruction = 0;
  if (chains) options.chains = random_vectors(kExamplePool, vectors.width);
  return options;
}

/// For models of these tables, from item vectors of `width` numbers.
inline std::vector<ExtraKind> extra_kinds(const std::array<Id, kVocabularies>& table_rows,
                                          std::int64_t width) {
  const ItemVectors vectors = random_vectors(table_rows[static_cast<std::size_t>(Vocabulary::item)], width);
  return {
      {"a map of the item's text", text_map(vectors)},
      {"an adaptor of experts",
       expert_adaptor({.vectors = vectors, .hidden = {6}, .shared = 2, .own = 1, .dropout = 0.2})},
      {"an adaptor of experts that knows users",
       expert_adaptor({.vectors = vectors,
                       .users = random_users(table_rows[static_cast<std::size_t>(Vocabulary::user)], width),
                       .hidden = {6},
                       .shared = 1,
                       .own = 2,
                       .dropout = 0.2})},
      {"alike rows in context", in_context(small_in_context(vectors, false)), true},
      {"alike rows and chains in context", in_context(small_in_context(vectors, true)), true}};
}

}  // namespace sllmr
