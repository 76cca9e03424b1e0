#include "host/base/tf_idf.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sllmr {

void TfIdfBuilder::add(const std::map<Id, double>& counts) {
  if (!counts.empty()) {
    const auto terms = static_cast<std::size_t>(counts.rbegin()->first) + 1;
    document_count_.resize(std::max(document_count_.size(), terms), 0.0);
    ++n_texts_;
  }
  for (const auto& [term, count] : counts) {
    index_.terms.push_back({term, count});
    ++document_count_[static_cast<std::size_t>(term)];
  }
  index_.offsets.push_back(index_.terms.size());
}

TfIdf TfIdfBuilder::finish() {
  for (TfIdf::Term& term : index_.terms) {
    term.weight *= std::log((1 + n_texts_) / (1 + document_count_[static_cast<std::size_t>(term.id)])) + 1;
  }
  for (std::size_t text = 0; text < index_.texts(); ++text) {
    double squares = 0;
    for (const TfIdf::Term& term : index_.of(text)) squares += term.weight * term.weight;
    index_.norm.push_back(std::sqrt(squares));
  }
  index_.n_terms = document_count_.size();
  return std::move(index_);
}

}  // namespace sllmr
