#include "host/guidance/text_teacher.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "host/text/vector_sums.h"
#include "kernels/exec/error.h"
#include "kernels/exec/math.h"

namespace sllmr {
namespace {

constexpr LogisticFit kStart = {5, 0};

}  // namespace

TextTeacher::TextTeacher(std::shared_ptr<const TextVectors> vectors, const Split& split, std::uint64_t seed,
                         int max_history, double temperature)
    : vectors_(std::move(vectors)),
      split_(split),
      max_history_(max_history),
      temperature_(temperature),
      rows_(ctr_train_rows(split, seed)),
      first_row_(static_cast<std::size_t>(split.data->users.rows()) + 1, rows_.size()) {
  std::vector<double> cosines(rows_.size());
  std::array<std::vector<LogisticExample>, 2> examples;  // of the users in either half
  std::vector<double> history;
  for (std::size_t k = 0; k < rows_.size(); ++k) {
    const CtrRow& row = rows_[k];
    // A positive and its negative follow each other.
    if (k % 2 == 0) history = sum_of_history(row.user, row.position);
    cosines[k] = cosine(history, row.item);
    std::size_t& first = first_row_[static_cast<std::size_t>(row.user)];
    first = std::min(first, k);
    if (std::isnan(cosines[k])) continue;
    examples[half_of(row.user)].push_back({cosines[k], 1, row.label == 1});
  }
  for (std::size_t user = first_row_.size() - 1; user-- > 0;) {
    first_row_[user] = std::min(first_row_[user], first_row_[user + 1]);
  }
  for (std::size_t half = 0; half < 2; ++half) {
    require(!examples[half].empty(),
            "kd.teacher=vectors learns from one half of the users what it says of the other, and one of them "
            "has no training row: use data of more users, or kd.teacher=scores");
    fits_[1 - half] = fit_logistic(examples[half], kStart);
    require(std::isfinite(fits_[1 - half].slope) && std::isfinite(fits_[1 - half].intercept),
            "kd.teacher=vectors: the regression of labels on cosines does not converge; look whether the "
            "text vectors are whole, or use kd.teacher=scores");
  }
  known_.reserve(rows_.size());
  for (std::size_t k = 0; k < rows_.size(); ++k) known_.push_back(made_of(rows_[k].user, cosines[k]));
}

std::vector<double> TextTeacher::sum_of_history(Id user, std::int32_t position) const {
  std::vector<double> sum(static_cast<std::size_t>(vectors_->width), 0.0);
  add_vectors(*vectors_, split_.data->history_before(user, position, max_history_), std::span(sum));
  return sum;
}

/// A sum has the cosines of a mean. NaN for no history: 0 / 0.
double TextTeacher::cosine(std::span<const double> history, Id item) const {
  const std::span<const float> of_item = vectors_->of(item);
  double product = 0, squares = 0, item_squares = 0;
  for (std::size_t k = 0; k < history.size(); ++k) {
    const auto x = static_cast<double>(of_item[k]);
    product += history[k] * x;
    squares += history[k] * history[k];
    item_squares += x * x;
  }
  return product / std::sqrt(squares * item_squares);
}

float TextTeacher::made_of(Id user, double cosine) const {
  return static_cast<float>(sigmoid_of(fits_[half_of(user)].logit(cosine) / temperature_));
}

float TextTeacher::operator()(const FeatureRow& row) const {
  // Rows of a user: two of each position but the first.
  const auto user = static_cast<std::size_t>(row.user);
  if (row.position > 0) {
    const std::size_t at = first_row_[user] + 2 * (static_cast<std::size_t>(row.position) - 1);
    for (std::size_t k = at; k < std::min(at + 2, first_row_[user + 1]); ++k) {
      if (rows_[k].item == row.item) return known_[k];
    }
  }
  return made_of(row.user, cosine(sum_of_history(row.user, row.position), row.item));
}

}  // namespace sllmr
