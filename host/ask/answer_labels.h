// The labels by which answers name the candidates.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sllmr::answers {

/// Labels to positions in the prompt, forgiving in how they are written: in any case, bare or as "(A)", "A.",
/// "Item A".
class CandidateLabels {
 public:
  explicit CandidateLabels(std::size_t candidates);
  /// Nothing for what is no label of a candidate.
  std::optional<std::size_t> find(std::string_view text) const;

 private:
  std::unordered_map<std::string, std::size_t> positions_;
};

inline bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace sllmr::answers
