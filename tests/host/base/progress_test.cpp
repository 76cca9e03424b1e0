#include "host/base/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace sllmr {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// A pseudo-terminal: what is drawn on fd() can be read back.
class Terminal {
 public:
  explicit Terminal(unsigned short columns) : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)) {
    ::grantpt(master_);
    ::unlockpt(master_);
    fd_ = ::open(::ptsname(master_), O_RDWR | O_NOCTTY);
    const winsize size{24, columns, 0, 0};
    ::ioctl(fd_, TIOCSWINSZ, &size);
  }
  ~Terminal() {
    ::close(fd_);
    ::close(master_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  int fd() const { return fd_; }
  std::string drawn() const {
    std::string text(65536, '\0');
    const ssize_t bytes = ::read(master_, text.data(), text.size());
    text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    return text;
  }

 private:
  int master_, fd_ = -1;
};

TEST(ProgressLine, TellsShareRateAndTimeLeft) {
  EXPECT_EQ(progress_line("epoch 3/60", 1'000'000, 4'000'000, 0.5, "triples", "loss 0.31"),
            "epoch 3/60  25 % |#####               |  2.0 M triples/s  0:02 left  loss 0.31");
  EXPECT_EQ(progress_line("rank", 1, 3601, 1, "users", ""),
            "rank   0 % |                    |  1 users/s  1:00:00 left");
  EXPECT_EQ(progress_line("rank", 3600, 3600, 1.5, "users", ""),
            "rank 100 % |####################|  2.4 k users/s  0:00 left");
}

TEST(ProgressLine, HasNoRateBeforeTheFirstUnit) {
  EXPECT_EQ(progress_line("rank", 0, 10, 1, "users", ""), "rank   0 % |                    |");
  EXPECT_EQ(progress_line("wait", 5, 10, 1, "", ""), "wait  50 % |##########          |");
  EXPECT_EQ(progress_line("rank", 0, 0, 1, "users", ""), "rank 100 % |####################|");
}

TEST(ProgressLine, StaysInBoundsPastTheTotal) {
  EXPECT_EQ(progress_line("rank", 20, 10, 1, "users", ""),
            "rank 100 % |####################|  20 users/s  0:00 left");
}

TEST(Progress, DrawsOnATerminalAndClearsTheLine) {
  const Terminal terminal(120);
  Progress progress("epoch 1/2", 100, "rows", terminal.fd());
  std::this_thread::sleep_for(110ms);
  progress.update(50, "loss 0.5");
  EXPECT_THAT(terminal.drawn(), HasSubstr("epoch 1/2  50 %"));
  progress.finish();
  EXPECT_EQ(terminal.drawn(), "\r\x1b[K");
  progress.finish();
  EXPECT_EQ(terminal.drawn(), "");
}

TEST(Progress, DrawsAtMostTenTimesASecond) {
  const Terminal terminal(120);
  Progress progress("epoch", 1'000'000, "rows", terminal.fd());
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t row = 0; std::chrono::steady_clock::now() - start < 250ms; ++row) progress.update(row);
  const auto most = (std::chrono::steady_clock::now() - start) / 100ms;
  const std::string drawn = terminal.drawn();
  const auto draws = std::ranges::count(drawn, '\r');
  EXPECT_GE(draws, 1);
  EXPECT_LE(draws, most);
}

TEST(Progress, SaysWhatItIsAPartOf) {
  const Terminal terminal(200);
  {
    const ProgressTitle title("run 3/24, 1:30 left");
    Progress progress("epoch 1/2", 10, "triples", terminal.fd());
    std::this_thread::sleep_for(120ms);
    progress.update(5);
    EXPECT_THAT(terminal.drawn(), HasSubstr("run 3/24, 1:30 left | epoch 1/2  50 %"));
  }
  Progress progress("epoch 1/2", 10, "triples", terminal.fd());
  std::this_thread::sleep_for(120ms);
  progress.update(5);
  EXPECT_THAT(terminal.drawn(), testing::Not(HasSubstr("run 3/24")));
}

TEST(Progress, CutsTheLineToTheTerminal) {
  const Terminal terminal(20);
  Progress progress("a description that is long", 100, "rows", terminal.fd());
  std::this_thread::sleep_for(110ms);
  progress.update(50);
  EXPECT_EQ(terminal.drawn(), "\r\x1b[Ka description that ");
}

TEST(Progress, PrintsNothingInAPipe) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_NONBLOCK), 0);
  {
    Progress progress("epoch", 100, "rows", ends[1]);
    std::this_thread::sleep_for(110ms);
    progress.update(50);
  }
  char byte;
  EXPECT_EQ(::read(ends[0], &byte, 1), -1);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace sllmr
