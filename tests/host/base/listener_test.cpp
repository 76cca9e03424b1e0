#include "host/base/listener.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "host/base/progress.h"
#include "host/base/say.h"

namespace sllmr {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

struct Heard : Listener {
  explicit Heard(bool takes_bars) : takes(takes_bars) {}
  bool takes_progress() const override { return takes; }
  void progress(const std::string& what, std::int64_t done, std::int64_t total,
                const std::string& unit) override {
    bars.push_back(what + " " + std::to_string(done) + "/" + std::to_string(total) + " " + unit);
  }
  void event(const nlohmann::json& event) override { events.push_back(event.dump()); }
  void note(std::string_view line) override { notes.emplace_back(line); }

  bool takes;
  std::vector<std::string> bars, events, notes;
};

TEST(Listener, HearsNotesAndBarsWhileItListens) {
  Heard heard(true);
  {
    const Listening listening(heard);
    say("a note");
    Progress progress("epoch 1/2", 100, "rows");
    std::this_thread::sleep_for(110ms);
    progress.update(50);
    progress.update(60);  // too soon
  }
  EXPECT_EQ(listener(), nullptr);
  EXPECT_THAT(heard.notes, ElementsAre("a note"));
  EXPECT_THAT(heard.bars, ElementsAre("epoch 1/2 50/100 rows"));
  testing::internal::CaptureStderr();
  say("to everybody");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "to everybody\n");
  EXPECT_EQ(heard.notes.size(), 1U);
}

TEST(Listener, MayLeaveTheBarsToTheTerminal) {
  Heard heard(false);
  const Listening listening(heard);
  Progress progress("epoch 1/2", 100, "rows");
  std::this_thread::sleep_for(110ms);
  progress.update(50);
  EXPECT_TRUE(heard.bars.empty());
}

}  // namespace
}  // namespace sllmr
