// Texts as bags of weighted terms.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/lower_case.h"
#include "kernels/exec/types.h"

namespace sllmr {

inline bool is_word_byte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// Calls `use(word)` for each word of `text` in lower case. Words are split at everything but letters, digits
/// and non-ASCII bytes.
template <class Use>
void for_each_word(std::string_view text, Use&& use) {
  std::string word;
  for (const char c : text) {
    if (is_word_byte(c)) {
      word.push_back(lower_case(c));
    } else if (!word.empty()) {
      use(word);
      word.clear();
    }
  }
  if (!word.empty()) use(word);
}

/// Sparse TF-IDF vectors, CSR by text. The weight of a term is its count in the text times the smooth idf =
/// log((1 + N) / (1 + df)) + 1 over the N texts that have a term.
struct TfIdf {
  struct Term {
    Id id;
    double weight;
  };

  std::vector<std::size_t> offsets = {0};  // texts + 1
  std::vector<Term> terms;                 // of a text by id
  std::vector<double> norm;                // by text: L2 norm; 0 without a term
  std::size_t n_terms = 0;                 // ids are below it

  std::size_t texts() const { return offsets.size() - 1; }
  std::span<const Term> of(std::size_t text) const {
    return std::span(terms).subspan(offsets[text], offsets[text + 1] - offsets[text]);
  }
};

/// Takes one text after the other, each as the counts of its terms.
class TfIdfBuilder {
 public:
  void add(const std::map<Id, double>& counts);
  /// Begins anew, but for what of_same_terms() needs.
  TfIdf finish();
  /// Texts that came after finish(), with its idf; terms that it had not are left out.
  TfIdf of_same_terms(std::span<const std::map<Id, double>> texts) const;

 private:
  TfIdf index_;
  std::vector<double> document_count_;  // by term
  std::vector<double> idf_;             // the same, of what was finished
  double n_texts_ = 0;
};

}  // namespace sllmr
