// A method of guidance on a made-up world, without a backbone.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "host/guidance/registry.h"
#include "tests/host/train/bench.h"

namespace sllmr {

class GuidedRows : public testing::Test {
 protected:
  GuidedRows() : data_(synthetic_dataset(small_world(40, 200))), split_(leave_one_out(data_)) {
    std::vector<LlmScore> scores;
    for (Id user = 1; user < data_.users.rows(); ++user) {
      const auto train = split_.train_items(user);
      if (train.empty()) continue;
      scores.push_back({user, train.back(), 0.75F, true});
      for (Id item = 1; item < 60; item += 4) {
        if (item != train.back()) scores.push_back({user, item, 0.01F * static_cast<float>(item), false});
      }
    }
    table_ = make_score_table(data_, scores, "made up");
  }

  std::unique_ptr<Guidance> guidance(std::vector<std::string> words) {
    words.push_back("train.loss=bce");
    config_ = load_config("", words);
    return find_guidance(config_).make({context_, config_, split_, &table_, nullptr, 64, 64, 64});
  }
  /// Every user's last training item and item 5, one labelled 1 and the other 0.
  BatchPlan plan(Guidance& guidance) {
    BatchPlan plan;
    for (Id user = 1; user < 11; ++user) {
      const auto train = split_.train_items(user);
      if (train.empty()) continue;
      plan.rows.push_back({user, train.back(), 0});
      plan.rows.push_back({user, 5, 0});
      plan.rows.push_back({user, 2, 0});
      plan.targets.insert(plan.targets.end(), {1, 0, 1});
    }
    plan.count = std::ssize(plan.rows);
    plan.own = guidance.make_own();
    guidance.plan(plan);
    return plan;
  }
  /// NaN where there is none, by a walk through the table.
  float score(const FeatureRow& row) const {
    const auto items = table_.items_of(row.user);
    for (std::size_t k = 0; k < items.size(); ++k) {
      if (items[k] == row.item) return table_.scores_of(row.user)[k];
    }
    return std::nanf("");
  }

  Context context_{Device::cpu, 1};
  Dataset data_;
  Split split_;
  ScoreTable table_;
  Config config_;
};

}  // namespace sllmr
