#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "models/registry.h"
#include "tests/host/guidance/text_runs.h"

namespace sllmr {
namespace {

std::vector<std::string> rlmrec_words(std::vector<std::string> more = {}) {
  more.insert(more.begin(), "method=rlmrec");
  return more;
}

Dataset rlmrec_world() {
  return synthetic_dataset(small_world(150, 200));
}

TEST(RlmRec, RefusesModelsThatAreNoProduct) {
  for (const BackboneInfo& info : backbones()) {
    const std::vector<std::string> words{"method=rlmrec", "model.name=" + std::string(info.name)};
    const std::string error = error_of([&] { find_guidance(load_config("", words)); });
    if (info.is_product) {
      EXPECT_EQ(error, "no error");
    } else {
      EXPECT_THAT(
          error, testing::HasSubstr("model.name=" + std::string(info.name) + " is none: use mf or lightgcn"));
    }
  }
}

/// Both kinds of denominators, both losses, both backbones.
TEST(RlmRec, VectorsComeNearTheirProfiles) {
  for (const char* model : {"model.name=mf", "model.name=lightgcn"}) {
    for (const char* users : {"rlmrec.users=all", "rlmrec.users=batch"}) {
      for (const char* loss : {"train.loss=bpr", "train.loss=bce"}) {
        SCOPED_TRACE(std::string(model) + " " + users + " " + loss);
        TextRun run(rlmrec_world(), rlmrec_words({model, users, loss, "rlmrec.weight=1"}));
        const EpochReport first = run.epoch();
        EpochReport last;
        for (int epoch = 1; epoch < 8; ++epoch) last = run.epoch();
        for (const char* cosine : {"user_cosine", "item_cosine", "negative_cosine"}) {
          EXPECT_GT(told(last, cosine), told(first, cosine) + 0.1) << cosine;
          EXPECT_GT(told(last, cosine), 0.4) << cosine;
        }
        for (const char* name : {"user_loss", "item_loss", "negative_loss"}) {
          EXPECT_LT(told(last, name), told(first, name) - 0.1) << name;
        }
      }
    }
  }
}

/// A user that nothing tells from its candidates costs the logarithm of their number.
TEST(RlmRec, DenominatorsAreAllUsersOrTheBatchs) {
  const auto user_loss = [](const char* users) {
    TextRun run(rlmrec_world(), rlmrec_words({users, "rlmrec.tau=100", "train.batch_size=32"}));
    return told(run.epoch(), "user_loss");
  };
  EXPECT_NEAR(user_loss("rlmrec.users=all"), std::log(150.0), 0.03);
  EXPECT_NEAR(user_loss("rlmrec.users=batch"), std::log(16.0), 0.03);  // 16 triples
}

TEST(RlmRec, KnowsNoHeldOutItem) {
  TextRun one(rlmrec_world(), rlmrec_words()), other(with_other_held_out(rlmrec_world()), rlmrec_words());
  EXPECT_EQ(to_json(one.epoch()), to_json(other.epoch()));
  EXPECT_EQ(one.tensor("embedding.user"), other.tensor("embedding.user"));
  EXPECT_EQ(one.tensor("rlmrec.parameters"), other.tensor("rlmrec.parameters"));
}

}  // namespace
}  // namespace sllmr
