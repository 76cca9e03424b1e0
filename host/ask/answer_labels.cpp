#include "host/ask/answer_labels.h"

#include "host/ask/prompt.h"
#include "host/base/lower_case.h"
#include "host/base/trim.h"

namespace sllmr::answers {
namespace {

constexpr std::size_t kLongestLabel = 48;

}  // namespace

CandidateLabels::CandidateLabels(std::size_t candidates) {
  for (std::size_t k = 0; k < candidates; ++k) positions_.emplace(lower_case(candidate_label(k)), k);
}

std::optional<std::size_t> CandidateLabels::find(std::string_view text) const {
  if (text.size() > kLongestLabel) return std::nullopt;
  std::string name = lower_case(trim(text, " \t\r\n\"'`()[]{}<>.:*#"));
  for (const std::string_view word : {"candidate", "item", "product", "option", "label"}) {
    if (name.starts_with(word)) name = trim(std::string_view(name).substr(word.size()), " _-:#(");
  }
  const auto found = positions_.find(name);
  if (found == positions_.end()) return std::nullopt;
  return found->second;
}

}  // namespace sllmr::answers
