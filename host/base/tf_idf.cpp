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

namespace {

/// Counts to weights, and norms.
void weigh(TfIdf& index, std::span<const double> idf) {
  for (TfIdf::Term& term : index.terms) term.weight *= idf[static_cast<std::size_t>(term.id)];
  for (std::size_t text = 0; text < index.texts(); ++text) {
    double squares = 0;
    for (const TfIdf::Term& term : index.of(text)) squares += term.weight * term.weight;
    index.norm.push_back(std::sqrt(squares));
  }
  index.n_terms = idf.size();
}

}  // namespace

TfIdf TfIdfBuilder::finish() {
  idf_.clear();
  for (const double count : document_count_) idf_.push_back(std::log((1 + n_texts_) / (1 + count)) + 1);
  weigh(index_, idf_);
  document_count_.clear();
  n_texts_ = 0;
  return std::exchange(index_, {});
}

TfIdf TfIdfBuilder::of_same_terms(std::span<const std::map<Id, double>> texts) const {
  TfIdf index;
  for (const auto& counts : texts) {
    for (const auto& [term, count] : counts) {
      if (static_cast<std::size_t>(term) < idf_.size()) index.terms.push_back({term, count});
    }
    index.offsets.push_back(index.terms.size());
  }
  weigh(index, idf_);
  return index;
}

}  // namespace sllmr
