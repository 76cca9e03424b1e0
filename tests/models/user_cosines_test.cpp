// The cosines of the objective `alignment`, for every backbone of the registry.
#include "models/user_cosines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/registry.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/features.h"

namespace sllmr {
namespace {

constexpr Pass kCosinesPass{true, 21, 4};
constexpr int kTrainingRows = 6, kWidth = 4;
constexpr float kMargin = 100;  // all hinges pull

BackboneOptions cosines_options() {
  BackboneOptions options;
  options.width = kWidth;
  options.hidden = {6, 5};
  options.dropout = 0.2;
  options.cin_sizes = {6, 4};
  options.attention_width = 8;
  options.din_attention_hidden = {5, 3};
  options.seed = 3;
  options.table_rows = {12, 12, 5, 8};
  options.interactions = {{1, 1}, {2, 3}};
  return options;
}

/// Six training rows of users 1 to 6 and the rows of three pairs, the last one a probe's. A pair's rows
/// belong to a user of their own, 7 to 9, whose vectors are those of the training row's: so the gradient on
/// the one is told from that on the other.
struct Batch {
  std::vector<HeadPair> pairs{{{1, 2, 0.5F, 1.0F}, 1, 6, 7, 0, 0},
                              {{2, 3, 0.2F, 1.0F}, 4, 8, 9, 0, 3},
                              {{3, 1, 0.1F, -1.0F}, 3, 10, 11, 1, 2}};
  std::vector<float> labels{1, 0, 1, 0, 1, 0};
  HostFeatures features;

  explicit Batch(bool sequence) {
    TestNumbers numbers(8);
    features = random_features(numbers, 12, cosines_options().table_rows, 4, sequence);
    for (int row = 0; row < 12; ++row) {
      features.of(Field::user)[static_cast<std::size_t>(row)] = {
          row < kTrainingRows ? 1 + row : 7 + (row - kTrainingRows) / 2};
    }
  }
  template <class Real>
  void share_vectors(Backbone<Real>& model) const {
    for (Embedding<Real>* embedding : model.embeddings()) {
      auto* table = embedding->table(Vocabulary::user);
      if (table == nullptr) continue;
      const std::ptrdiff_t width = embedding->width();
      for (std::size_t k = 0; k < pairs.size(); ++k) {
        const Real* from = table->weights.data() + (1 + pairs[k].row) * width;
        std::copy_n(from, width, table->weights.data() + (7 + static_cast<std::ptrdiff_t>(k)) * width);
      }
    }
  }
};

std::vector<float> cosines_of(const Context& context, Backbone<float>& model, const Batch& batch,
                              BaseLoss loss) {
  const DeviceFeatures features(context, batch.features);
  const Buffer<float> labels(context, std::span<const float>(batch.labels));
  const Buffer<HeadPair> pairs(context, std::span<const HeadPair>(batch.pairs));
  std::unique_ptr<Backbone<float>::Saved> saved;
  const Tensor<float> logits = model.forward(context, features.batch(), kCosinesPass, &saved);
  LossHead args;
  args.logits = logits.data();
  args.targets = labels.data();
  args.rows = kTrainingRows;
  args.loss = loss;
  args.pairs = pairs.data();
  args.n_pairs = static_cast<std::int64_t>(batch.pairs.size());
  args.gate.margin = kMargin;
  return user_cosines(context, model, features.batch(), *saved, args).to_host(context);
}

/// The two losses from logits, naively.
double base_loss(const Batch& batch, BaseLoss loss, const std::vector<double>& s) {
  double sum = 0;
  for (std::size_t k = 0; k < kTrainingRows; ++k) {
    if (loss == BaseLoss::bpr) {
      if (k % 2 == 0) sum += std::log1p(std::exp(-(s[k] - s[k + 1])));
    } else {
      sum += std::log1p(std::exp(batch.labels[k] > 0.5F ? -s[k] : s[k]));
    }
  }
  return sum;
}
double hinge_loss(const Batch& batch, const std::vector<double>& s) {
  double sum = 0;
  for (const HeadPair& both : batch.pairs) {
    if (both.probe != 0) continue;
    sum += static_cast<double>(kMargin) -
           (s[static_cast<std::size_t>(both.row_a)] - s[static_cast<std::size_t>(both.row_b)]);
  }
  return sum;
}

/// Central differences of `loss()` in the vectors of `users`, added up over the users.
template <class Loss>
std::vector<double> differences(Backbone<double>& model, const std::vector<Id>& users, const Loss& loss) {
  constexpr double kStep = 1e-5;
  std::vector<double> out;
  for (Embedding<double>* embedding : model.embeddings()) {
    auto* table = embedding->table(Vocabulary::user);
    if (table == nullptr) continue;
    for (int d = 0; d < embedding->width(); ++d) {
      double sum = 0;
      for (const Id user : users) {
        double& x = table->weights.data()[static_cast<std::ptrdiff_t>(user) * embedding->width() + d];
        const double kept = x;
        x = kept + kStep;
        const double above = loss();
        x = kept - kStep;
        const double below = loss();
        x = kept;
        sum += (above - below) / (2 * kStep);
      }
      out.push_back(sum);
    }
  }
  return out;
}

double cosine(const std::vector<double>& x, const std::vector<double>& y) {
  double product = 0, x2 = 0, y2 = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    product += x[k] * y[k];
    x2 += x[k] * x[k];
    y2 += y[k] * y[k];
  }
  return product / std::sqrt(x2 * y2);
}

TEST(UserCosines, AreThoseOfFiniteDifferences) {
  const Context context(Device::cpu, 1);
  for (const BackboneInfo& info : backbones()) {
    for (const BaseLoss loss : {BaseLoss::bce, BaseLoss::bpr}) {
      SCOPED_TRACE(std::string(info.name) + (loss == BaseLoss::bpr ? ", bpr" : ", bce"));
      const auto model = info.make(context, cosines_options());
      if (model->embeddings().empty()) {
        EXPECT_NE(error_of([&] { require_user_rows(*model); }), "");
        continue;
      }
      const auto reference = info.make_double(context, cosines_options());
      const Batch batch(model->wants_sequence());
      batch.share_vectors(*model);
      batch.share_vectors(*reference);
      const std::vector<float> cosines = cosines_of(context, *model, batch, loss);
      ASSERT_EQ(cosines.size(), 3U);

      const DeviceFeatures features(context, batch.features);
      const auto logits = [&] {
        return reference->forward(context, features.batch(), kCosinesPass, nullptr).to_host(context);
      };
      for (std::size_t k = 0; k < 2; ++k) {
        const Id user = 1 + batch.pairs[k].row;
        std::vector<Id> of_base{user};
        if (loss == BaseLoss::bpr) of_base.push_back(user % 2 == 1 ? user + 1 : user - 1);
        const std::vector<double> base =
            differences(*reference, of_base, [&] { return base_loss(batch, loss, logits()); });
        const std::vector<double> hinge =
            differences(*reference, {static_cast<Id>(7 + k)}, [&] { return hinge_loss(batch, logits()); });
        EXPECT_TRUE(near(static_cast<double>(cosines[k]), cosine(base, hinge), {1e-3})) << "pair " << k;
      }
      EXPECT_EQ(cosines[2], 0.0F) << "a probe has no hinge";
    }
  }
}

TEST(UserCosines, OfMatrixFactorisationAreThoseOfTheItemsDifferences) {
  // The fused step of the MF trainer reads them off the item vectors: cos(v_i - v_j, v_a - v_b).
  const Context context(Device::cpu, 1);
  const auto model = find_backbone("mf")->make(context, cosines_options());
  Batch batch(false);
  batch.share_vectors(*model);
  for (const std::size_t row : {0, 2}) {  // a triple is of one user
    batch.features.of(Field::user)[row + 1] = batch.features.of(Field::user)[row];
  }
  const std::vector<float> cosines = cosines_of(context, *model, batch, BaseLoss::bpr);
  const float* items = model->embeddings()[0]->table(Vocabulary::item)->weights.data();
  const auto difference = [&](int plus, int minus) {
    std::vector<double> out;
    for (int d = 0; d < kWidth; ++d) {
      const auto at = [&](int row) {
        return static_cast<double>(
            items[batch.features.of(Field::item)[static_cast<std::size_t>(row)][0] * kWidth + d]);
      };
      out.push_back(at(plus) - at(minus));
    }
    return out;
  };
  EXPECT_TRUE(near(static_cast<double>(cosines[0]), cosine(difference(0, 1), difference(6, 7)), {1e-5}));
  EXPECT_TRUE(near(static_cast<double>(cosines[1]), cosine(difference(2, 3), difference(8, 9)), {1e-5}));
}

/// A backbone that looks items up alone.
class ItemsOnly final : public Backbone<float> {
 public:
  explicit ItemsOnly(const Context& context)
      : embedding_(context, "embedding", kWidth, kField, cosines_options().table_rows, {}, 1) {}
  Tensor<float> forward(const Context& context, const FeatureBatch& batch, const Pass&,
                        std::unique_ptr<Saved>*) const override {
    return Tensor<float>::zeros(context, batch.rows, 1);
  }
  void backward(const Context&, const FeatureBatch&, const Saved&, const Tensor<float>&,
                const RowVectors<float>&) override {}
  std::vector<Embedding<float>*> embeddings() override { return {&embedding_}; }

 private:
  static constexpr std::array kField{Field::item};
  Embedding<float> embedding_;
};

TEST(UserCosines, NeedATableOfUsers) {
  const Context context(Device::cpu, 1);
  ItemsOnly model(context);
  EXPECT_THAT(error_of([&] { require_user_rows(model); }), testing::HasSubstr("no table of users"));
  require_user_rows(*find_backbone("mf")->make(context, cosines_options()));
}

}  // namespace
}  // namespace sllmr
