// Training by ranks that are threads.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "host/data/import.h"
#include "tests/host/support.h"
#include "tests/host/train/bench.h"
#include "tests/support/thread_ranks.h"

namespace sllmr {

/// A made-up world whose items have a brand, but for some, and up to three categories.
inline Dataset world_with_attributes(int users, int items) {
  Dataset data = synthetic_dataset(small_world(users, items));
  data.attribute_offsets = {0, 0};
  data.item_attributes.clear();
  data.attribute_kinds.clear();
  for (Id item = 1; item < data.items.rows(); ++item) {
    const auto add = [&](AttributeKind kind, const std::string& name) {
      data.item_attributes.push_back(data.attributes.add(name));
      data.attribute_kinds.push_back(kind);
    };
    if (item % 4 != 0) add(AttributeKind::brand, "brand" + std::to_string(item % 9));
    for (int k = 0; k < item % 4; ++k)
      add(AttributeKind::category, "category" + std::to_string((item * 3 + k) % 14));
    data.attribute_offsets.push_back(std::ssize(data.item_attributes));
  }
  return data;
}

class RankTrainingTest : public testing::Test {
 protected:
  void SetUp() override { save_recbole(world_with_attributes(120, 200), folder_.path()); }

  struct Trained {
    std::string checkpoint;          // its bytes
    nlohmann::json report;           // of the last epoch; null where training was stopped
    std::vector<std::int64_t> sent;  // bytes, by rank
    std::vector<std::int64_t> kept;  // numbers of the model and its optimiser that a rank keeps, by rank
    nlohmann::json figures;          // of the test rows, where the fixture evaluates
  };
  /// `stop_at`: rows after which training stops; 0: never. `from`: a checkpoint to go on with; empty: none.
  Trained train(const Config& config, int ranks, std::int64_t stop_at = 0, const std::string& from = {},
                Device device = Device::cpu) {
    Trained out;
    out.sent.resize(static_cast<std::size_t>(ranks));
    out.kept.resize(static_cast<std::size_t>(ranks));
    std::mutex making;
    ThreadRanks::run(ranks, [&](Communicator& own) {
      const std::unique_ptr<Bench> bench = [&] {
        const std::lock_guard lock(making);
        return std::make_unique<Bench>(config, 1, device, &own);
      }();
      if (!from.empty()) bench->trainer().resume(bench->trainer().read(from));
      const auto report =
          bench->trainer().train_epoch([&](std::int64_t rows) { return stop_at != 0 && rows >= stop_at; });
      out.sent[static_cast<std::size_t>(own.rank())] = own.bytes_sent();
      for (const NamedBuffer& named : bench->trainer().named_buffers()) {
        if (named.shape.size() != 2) continue;
        out.kept[static_cast<std::size_t>(own.rank())] += static_cast<std::int64_t>(
            std::visit([](const auto* buffer) { return buffer->size(); }, named.buffer));
      }
      const nlohmann::json figures = evaluates_ ? bench->figures() : nlohmann::json();
      bench->trainer().save(folder_ / "model.safetensors", {});
      if (own.rank() != 0) return;
      out.checkpoint = read_all(folder_ / "model.safetensors");
      if (report) out.report = to_json(*report);
      out.figures = figures;
    });
    return out;
  }
  /// Training that `before` ranks stop after 300 rows comes by `after` ranks to what one makes of it at once.
  void expect_other_ranks_go_on(const Config& config, std::initializer_list<std::pair<int, int>> pairs) {
    const Trained whole = train(config, 1);
    for (const auto& [before, after] : pairs) {
      SCOPED_TRACE(testing::Message() << before << ", then " << after);
      ASSERT_TRUE(train(config, before, 300).report.is_null());
      const std::string stopped = folder_ / "stopped.safetensors";
      std::filesystem::copy_file(folder_ / "model.safetensors", stopped,
                                 std::filesystem::copy_options::overwrite_existing);
      const Trained rest = train(config, after, 0, stopped);
      EXPECT_TRUE(rest.checkpoint == whole.checkpoint);
      EXPECT_EQ(rest.report, whole.report);
      EXPECT_EQ(rest.figures, whole.figures);
    }
  }
  TemporaryFolder folder_;
  bool evaluates_ = false;
};

}  // namespace sllmr
