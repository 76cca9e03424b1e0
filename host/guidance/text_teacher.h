// What the items' texts alone say of a training row: a teacher that asks no LLM.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/data/features.h"
#include "host/data/split.h"
#include "host/guidance/logistic_fit.h"
#include "host/text/text_vectors.h"

namespace sllmr {

/// t(row) = sigmoid((a cos(h, e) + b) / temperature), e the text vector of the row's item and h the mean of
/// those of its history, the last `max_history` items before its position. (a, b) of a user are fitted to the
/// training rows (those of ctr_train_rows(split, seed)) of the users whose id is odd where the user's is even
/// and even where it is odd, so that no label of a user's own enters t.
class TextTeacher {
 public:
  /// Throws Error where one half of the users has no training row, and where a regression has no finite
  /// result. Keeps a reference to the split.
  TextTeacher(std::shared_ptr<const TextVectors> vectors, const Split& split, std::uint64_t seed,
              int max_history, double temperature);

  /// Of any row; NaN of one whose history is empty or has vectors that cancel out, as it has no cosine.
  float operator()(const FeatureRow& row) const;
  /// Of the training rows.
  std::span<const float> of_training_rows() const { return known_; }
  /// By which t of users with an even id is made, and with an odd one.
  const std::array<LogisticFit, 2>& fits() const { return fits_; }

 private:
  static std::size_t half_of(Id user) { return static_cast<std::size_t>(user % 2); }
  std::vector<double> sum_of_history(Id user, std::int32_t position) const;
  double cosine(std::span<const double> history, Id item) const;
  float made_of(Id user, double cosine) const;

  std::shared_ptr<const TextVectors> vectors_;
  const Split& split_;
  int max_history_;
  double temperature_;
  std::array<LogisticFit, 2> fits_;
  // Looked up rather than made anew in every epoch.
  std::vector<CtrRow> rows_;
  std::vector<float> known_;            // t of rows_
  std::vector<std::size_t> first_row_;  // by user
};

}  // namespace sllmr
